from datetime import timedelta

import pytest

from mailflow.core.followups import MOST_QUESTIONS, follow_up
from mailflow.core.tickets import Action, State
from mailflow.core.triage import Exclusion, Item, Kind, Outcome
from tests.factories import NOW, RULES, make_message, make_ticket, make_triage

COMPLETE = make_triage()
STILL = make_triage(Outcome.REQUEST_INFORMATION, missing=(Item.STEPS,))
NOISE = make_triage(Outcome.IGNORE, kind=Kind.NOISE, priority=None)
EXCLUDED = make_triage(
    Outcome.NOTIFY_EXCLUSION, kind=Kind.EXCLUDED, exclusion=Exclusion.TRAINING, priority=None
)


def run(text, ticket, triage=None, **message):
    decision = follow_up(make_message(text, **message), ticket, triage, NOW, RULES)
    assert decision is not None
    assert decision.ticket_id == ticket.id
    assert decision.new_ticket is None
    assert decision.steps[0].kind in ("received", "revived")
    return decision


def told(decision):
    return [notice.kind.value for notice in decision.notices]


def actions(decision):
    return [step.action for step in decision.steps if step.action is not None]


def incomplete(state=State.INCOMPLETE, **changes):
    changes = {"items": frozenset({"description"}), "asked": ("steps", "feature")} | changes
    return make_ticket(state, times_asked=changes.pop("times_asked", 1), **changes)


# The four answers a client can give, in each state: outcome, actions, notices.
YES, NO, UNCLEAR = (
    "It works now, thank you.",
    "It still does not work.",
    "What about the other one?",
)


@pytest.mark.parametrize(
    ("state", "text", "outcome", "done", "notices"),
    [
        # in work: what the client writes goes to the agent, and the clock is never stopped by it
        ("open", YES, "forwarded", ["client_replied"], ["agent_reply"]),
        ("open", NO, "forwarded", ["client_replied"], ["agent_reply"]),
        ("open", UNCLEAR, "forwarded", ["client_replied"], ["agent_reply"]),
        ("pending", YES, "forwarded", ["client_replied"], ["agent_reply"]),  # ends the pause
        ("pending", UNCLEAR, "forwarded", ["client_replied"], ["agent_reply"]),
        # a proposed solution: only a clear yes closes
        ("resolved", YES, "closed", ["confirm"], ["closed", "agent_reply"]),
        ("resolved", NO, "reopened", ["refuse"], ["agent_reply"]),
        ("resolved", UNCLEAR, "forwarded", ["client_replied"], ["agent_reply"]),
        ("resolved", "", "forwarded", ["client_replied"], ["agent_reply"]),
        # closed, within the grace time
        ("closed", YES, "ignored", [], []),  # thanks
        ("closed", NO, "reopened", ["reopen"], ["reopened", "agent_reply"]),
        ("closed", UNCLEAR, "reopened", ["reopen"], ["reopened", "agent_reply"]),
        # excluded: an objection is for an agent
        ("excluded", NO, "forwarded", ["client_replied"], ["agent_reply"]),
        ("held", UNCLEAR, "forwarded", ["client_replied"], ["agent_reply"]),
    ],
)
def test_each_state_and_answer(state, text, outcome, done, notices):
    ticket = make_ticket(State(state), closed_at=NOW - timedelta(days=1))
    decision = run(text, ticket, COMPLETE)
    assert decision.outcome == outcome
    assert actions(decision) == [Action(each) for each in done]
    assert told(decision) == notices


@pytest.mark.parametrize(
    ("closed_for", "is_new"),
    [
        (timedelta(0), False),
        (timedelta(days=14), False),  # the last moment of the grace time
        (timedelta(days=14, seconds=1), True),
        (None, False),  # closed before mailflow noted when
    ],
)
def test_the_grace_time_after_closing(closed_for, is_new):
    closed_at = None if closed_for is None else NOW - closed_for
    ticket = make_ticket(State.CLOSED, closed_at=closed_at)
    decision = follow_up(make_message(NO), ticket, COMPLETE, NOW, RULES)
    assert (decision is None) == is_new


def test_thanks_are_thanks_however_late():
    ticket = make_ticket(State.CLOSED, closed_at=NOW - timedelta(days=90))
    assert run(YES, ticket, COMPLETE).outcome == "ignored"
    assert run("Bonne journée à vous", ticket, NOISE).outcome == "ignored"


def test_the_wait_ends_with_the_clients_answer():
    decision = run("Version 4.2", make_ticket(State.PENDING))
    assert [step.kind for step in decision.steps] == ["received", "resumed"]
    assert decision.reason == "the client's answer ends the wait"


def test_an_objection_is_marked_for_review():
    decision = run("We do not agree", make_ticket(State.EXCLUDED))
    assert decision.steps[-1].changes == {"review": ["the client objects to the exclusion"]}
    assert decision.notices[0].data == {"objection": True}


@pytest.mark.parametrize(
    ("text", "wants", "contact"),
    [
        ("Call Paul Martin, 06 12 34 56 78", True, ("Paul Martin", "06 12 34 56 78")),
        ("06 12 34 56 78", True, (None, "06 12 34 56 78")),  # a number alone
        ("We call you", True, None),  # asked for, not given
        ("Call Paul Martin, 06 12 34 56 78", False, None),  # nobody asked
    ],
)
def test_the_technical_contact_of_a_p1(text, wants, contact):
    decision = run(text, make_ticket(priority=1, wants_contact=wants))
    given = [step.changes["contact"] for step in decision.steps if step.kind == "contact_given"]
    expected = {"name": contact[0], "telephone": contact[1]} if contact else None
    assert given == ([expected] if expected else [])
    assert decision.notices[0].data.get("contact") == expected


def test_what_was_said_is_kept_as_evidence():
    decision = run(YES, make_ticket(State.RESOLVED))
    confirmed = decision.steps[1]
    assert confirmed.kind == "confirmed"
    assert confirmed.data["verdict"] == "yes"
    assert decision.notices[1].data == {"confirmation": confirmed.data}


@pytest.mark.parametrize(
    ("workaround", "priority", "outcome"),
    [
        (True, 1, "forwarded"),  # the P1 regime ends, the rest goes on
        (True, 2, "closed"),
        (False, 1, "closed"),  # a solution, not a workaround
        (True, None, "closed"),
    ],
)
def test_a_confirmed_workaround_of_a_p1_lives_on(workaround, priority, outcome):
    ticket = make_ticket(State.RESOLVED, workaround=workaround, priority=priority)
    decision = run(YES, ticket)
    assert decision.outcome == outcome
    if outcome == "closed":
        return
    assert actions(decision) == [Action.KEEP_OPEN]
    assert decision.steps[1].changes == {"workaround": False}
    assert decision.steps[2].changes == {"priority": RULES.priority_after_workaround}
    assert told(decision) == ["priority_changed", "agent_reply"]


def test_a_refused_workaround_stays_p1():
    decision = run(NO, make_ticket(State.RESOLVED, workaround=True, priority=1))
    assert decision.outcome == "reopened"
    assert actions(decision) == [Action.REFUSE]


@pytest.mark.parametrize(
    ("state", "done"),
    [("incomplete", [Action.REGISTER]), ("abandoned", [Action.REVIVE, Action.REGISTER])],
)
def test_the_last_missing_item_registers_the_ticket(state, done):
    decision = run("Open it.", incomplete(State(state)), COMPLETE)
    assert decision.outcome == "registered"
    assert decision.reason == "all required items are there"
    assert actions(decision) == done
    assert told(decision) == ["registration"]
    changes = decision.steps[-1].changes
    assert changes["items"] == ["description", "error_message", "feature", "steps"]
    assert (changes["asked"], changes["review"]) == ([], [])
    assert (changes["kind"], changes["priority"]) == ("problem", 3)


@pytest.mark.parametrize(
    ("state", "done"),
    [("incomplete", [Action.ASK]), ("abandoned", [Action.REVIVE, Action.ASK])],
)
def test_only_what_is_still_missing_is_asked_for(state, done):
    decision = run("It hangs.", incomplete(State(state)), STILL)
    assert decision.outcome == "asked"
    assert decision.reason == "still missing: steps"
    assert actions(decision) == done
    assert decision.notices[0].data == {"missing": ["steps"], "again": True}
    assert decision.steps[-1].changes["asked"] == ["steps"]


def test_items_given_before_are_not_asked_for_again():
    ticket = incomplete(items=frozenset({"steps"}))
    decision = run("No.", ticket, STILL)  # triage, now of the whole thread, no longer sees them
    assert decision.outcome == "registered"


LONG = "open the invoice and press export twice"


@pytest.mark.parametrize(
    ("asked", "item", "text", "taken"),
    [
        (("steps",), Item.STEPS, LONG, True),  # the only thing asked for: a full answer is it
        (("steps",), Item.STEPS, "open the invoice, press export", False),  # five words
        (("steps",), Item.STEPS, LONG + "?", False),  # a question is no answer
        (("steps", "feature"), Item.STEPS, LONG, False),  # which of the two is it?
        (("feature",), Item.STEPS, LONG, False),  # something else was asked for
        (("error_message",), Item.ERROR_MESSAGE, LONG, False),  # must be seen in the text
    ],
)
def test_a_plain_answer_to_a_single_question(asked, item, text, taken):
    triage = make_triage(Outcome.REQUEST_INFORMATION, missing=(item,))
    decision = run(text, incomplete(asked=asked, items=frozenset()), triage)
    assert decision.outcome == ("registered" if taken else "asked")


@pytest.mark.parametrize("times", [MOST_QUESTIONS, MOST_QUESTIONS + 1])
def test_nobody_is_asked_for_ever(times):
    decision = run("No.", incomplete(times_asked=times), STILL)
    assert decision.outcome == "registered"
    reason = f"asked {times} times, still missing: steps"
    assert decision.reason == reason
    assert decision.steps[-1].changes["review"] == [reason]
    assert "steps" not in decision.steps[-1].changes["items"]


def test_the_last_question_may_still_be_asked():
    assert run("No.", incomplete(times_asked=MOST_QUESTIONS - 1), STILL).outcome == "asked"


def test_doubts_of_triage_go_to_the_agent():
    decision = run("Open it.", incomplete(), make_triage(reasons=("P1 or P2?",)))
    assert decision.steps[-1].changes["review"] == ["P1 or P2?"]


def test_thanks_are_not_the_missing_items():
    decision = run("Thank you, I will look.", incomplete(), NOISE)
    assert decision.outcome == "asked"
    assert decision.notices[0].data["missing"] == ["steps", "feature"]
    assert "kind" not in decision.steps[-1].changes


def test_what_turns_out_to_be_excluded_is_registered_for_an_agent_to_decide():
    decision = run("We want a course.", incomplete(), EXCLUDED)
    assert decision.outcome == "registered"
    changes = decision.steps[-1].changes
    assert changes["review"] == [
        "with the client's answer it looks like something that is excluded"
    ]
    assert not {"kind", "priority"} & set(changes)  # stays the problem that it was


def test_a_priority_that_triage_cannot_tell_is_not_taken_away():
    triage = make_triage(Outcome.HOLD, kind=Kind.INFORMATION, priority=None, reasons=("no model",))
    decision = run("Open it.", incomplete(), triage)
    assert "priority" not in decision.steps[-1].changes


def test_new_colleagues_in_copy_are_noted():
    message = make_message("Hello")
    decision = follow_up(message, make_ticket(), None, NOW, RULES, ("bob@client.example",))
    assert decision is not None
    assert decision.steps[0].data == {"watchers": ["bob@client.example"]}


def test_a_ticket_closed_as_spam_stays_closed():
    ticket = make_ticket(State.CLOSED, kind="noise", closed_at=NOW)
    decision = run("Why do you not answer? It still fails", ticket, COMPLETE)
    assert (decision.outcome, decision.notices) == ("ignored", ())
