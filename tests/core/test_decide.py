from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailflow.core.decide import decide, given_items, language_for, needs_triage
from mailflow.core.decisions import Audience, NoticeKind
from mailflow.core.messages import Address, Bounce, BouncedRecipient, MessageClass
from mailflow.core.organisations import Organisation
from mailflow.core.tickets import TRANSITIONS, State
from mailflow.core.triage import Exclusion, Item, Kind, Outcome
from tests.factories import (
    CLIENT,
    NOW,
    ORGANISATION,
    STRANGER,
    SUPPORT,
    make_facts,
    make_message,
    make_ticket,
    make_triage,
)

REGISTER = make_triage()
ASK = make_triage(Outcome.REQUEST_INFORMATION, missing=(Item.STEPS, Item.ERROR_MESSAGE))
EXCLUDE = make_triage(
    Outcome.NOTIFY_EXCLUSION, kind=Kind.EXCLUDED, exclusion=Exclusion.TRAINING, priority=None
)
HOLD = make_triage(Outcome.HOLD, reasons=("the language is unknown", "no model"))
IGNORE = make_triage(Outcome.IGNORE, kind=Kind.NOISE, priority=None)
ENDED = replace(ORGANISATION, contract_end=date(2026, 1, 31))
NOT_BEGUN = replace(ORGANISATION, contract_start=date(2027, 1, 1))
TWO = (CLIENT, STRANGER)


def run(message=None, triage=REGISTER, **facts):
    return decide(message or make_message(), make_facts(**facts), triage, NOW)


def told(decision):
    return [(notice.kind.value, notice.audience.value) for notice in decision.notices]


CLIENT_GETS = {kind: [(kind, "client")] for kind in ("registration", "request_information")}
REVIEW = ("agent_review", "agent")


@pytest.mark.parametrize(
    ("triage", "outcome", "state", "notices"),
    [
        (REGISTER, "registered", "open", [("registration", "client")]),
        (ASK, "asked", "incomplete", [("request_information", "client")]),
        (EXCLUDE, "excluded", "excluded", [("exclusion", "client"), REVIEW]),
        (HOLD, "held", "held", [REVIEW]),  # nobody is answered before a human looked
        (make_triage(Outcome.HOLD), "held", "held", [REVIEW]),
    ],
)
def test_a_first_mail_of_a_client(triage, outcome, state, notices):
    decision = run(triage=triage)
    assert decision.outcome == outcome
    assert decision.new_ticket is not None
    assert decision.new_ticket.state is State(state)
    assert decision.new_ticket.registered is (state == "open")
    assert decision.new_ticket.requester == CLIENT.address
    assert told(decision) == notices
    assert decision.reason


def test_a_mail_that_needs_no_answer_is_ignored_with_a_reason():
    decision = run(triage=IGNORE)
    assert (decision.outcome, decision.reason) == ("ignored", "needs no answer: noise")
    assert decision.new_ticket is None
    assert decision.notices == ()


def test_what_is_missing_is_asked_for_by_name_and_remembered():
    decision = run(triage=ASK)
    assert decision.notices[0].data == {"missing": ["steps", "error_message"]}
    ticket = decision.new_ticket
    assert ticket is not None
    assert ticket.asked == ("steps", "error_message")
    assert ticket.items == ("description", "feature")
    assert decision.reason == "problem; P3; missing steps, error_message"
    assert [step.kind for step in decision.steps] == ["received", "triaged", "asked"]


def test_an_exclusion_is_named_and_reviewed():
    decision = run(triage=EXCLUDE)
    assert decision.reason == "excluded; training"
    assert decision.new_ticket is not None
    assert decision.new_ticket.exclusion == "training"
    assert decision.new_ticket.kind == "excluded"


def test_the_evidence_is_kept_with_the_ticket():
    decision = run(triage=make_triage(reasons=("P1 or P2?",), requested=1))
    assert decision.steps[1].data == {"triage": make_triage(reasons=("P1 or P2?",), requested=1)}
    assert decision.new_ticket is not None
    assert decision.new_ticket.review == ("P1 or P2?",)
    assert decision.new_ticket.requested_priority == 1


CONTRACTS = {
    "unknown": (None, "the sender belongs to no organisation with a contract"),
    "ended": (ENDED, "the contract of Client SA has ended"),
    "not_begun": (NOT_BEGUN, "the contract of Client SA has not begun"),
}


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize(
    ("policy", "more", "outcome", "notices"),
    [
        ("hold", {}, "held", [REVIEW]),
        ("hold", {"held_notice": True}, "held", [REVIEW, ("held", "client")]),
        ("hold", {"held_notice": True, "in_quota": False}, "held", [REVIEW]),
        ("refuse", {}, "refused", [("refused", "sender")]),
        ("refuse", {"in_quota": False}, "refused", []),  # a flood gets silence
        ("accept", {}, "registered", [("registration", "client")]),
    ],
)
def test_without_a_running_contract(contract, policy, more, outcome, notices):
    organisation, reason = CONTRACTS[contract]
    decision = run(organisation=organisation, unknown_sender=policy, **more)
    assert decision.outcome == outcome
    assert told(decision) == notices
    assert (decision.new_ticket is None) == (outcome == "refused")
    if outcome != "registered":
        assert decision.reason == reason


def test_a_refusal_says_why_in_the_senders_language():
    decision = run(organisation=None, unknown_sender="refuse")
    assert decision.notices[0].data == {"contract": "unknown", "language": "en"}


@pytest.mark.parametrize("policy", ["hold", "refuse"])
def test_noise_from_strangers_is_not_kept(policy):
    decision = run(triage=IGNORE, organisation=None, unknown_sender=policy)
    assert decision.outcome == "ignored"
    assert "needs no answer" in decision.reason


@pytest.mark.parametrize("triage", [REGISTER, ASK])
def test_beyond_the_daily_cap_an_agent_is_told_instead(triage):
    decision = run(triage=triage, in_quota=False)
    assert decision.new_ticket is not None  # the mail is not lost
    assert told(decision) == [REVIEW]
    assert "daily cap" in decision.notices[0].data["reason"]


MACHINES = [each for each in MessageClass if each is not MessageClass.PERSON]


@pytest.mark.parametrize("kind", MACHINES)
def test_a_machine_without_a_ticket_is_ignored(kind):
    message = make_message(message_class=kind, class_reason="header X")
    decision = run(message, triage=None)
    assert (decision.outcome, decision.reason) == ("ignored", f"{kind.value}: header X")
    assert (decision.new_ticket, decision.notices, decision.steps) == (None, (), ())


@pytest.mark.parametrize("kind", MACHINES)
@pytest.mark.parametrize("state", State)
def test_a_machine_changes_no_ticket_and_gets_no_answer(kind, state):
    message = make_message(message_class=kind, class_reason="header X")
    decision = run(message, triage=None, ticket=make_ticket(state))
    assert decision.outcome == "ignored"
    assert decision.notices == ()
    assert all(step.action is None and not step.changes for step in decision.steps)
    noted = kind is not MessageClass.OWN
    assert [step.kind for step in decision.steps] == (["machine_mail"] if noted else [])


@pytest.mark.parametrize(
    ("senders", "requester"),
    [
        ((), ""),  # no From at all
        (TWO, CLIENT.address),  # several: the first, but a human decides
        ((Address("", "no-reply@client.example"),), "no-reply@client.example"),
        ((Address("", "broken"),), "broken"),
    ],
)
@pytest.mark.parametrize("state", [None, *State])
def test_a_person_of_unclear_address_goes_to_a_human_never_lost(senders, requester, state):
    ticket = make_ticket(state) if state else None
    message = make_message(senders=senders)
    assert not needs_triage(message, make_facts(ticket=ticket))
    decision = run(message, triage=None, ticket=ticket)
    assert decision.outcome == "held"
    assert decision.new_ticket is not None
    assert decision.new_ticket.state is State.HELD
    assert decision.new_ticket.requester == requester
    assert decision.new_ticket.linked_to == (7 if ticket else None)
    assert told(decision) == [REVIEW]


@pytest.mark.parametrize("senders", [(Address("", SUPPORT),), (CLIENT, Address("", SUPPORT))])
def test_our_own_mail_is_never_held(senders):
    decision = run(make_message(senders=senders), triage=None)
    assert decision.outcome == "ignored"
    assert decision.new_ticket is None


@pytest.mark.parametrize(
    ("facts", "notices"),
    [
        ({}, [REVIEW, ("unreadable", "client")]),
        ({"in_quota": False}, [REVIEW]),
        ({"organisation": None}, [REVIEW]),  # strangers get nothing before a human looked
        (
            {"organisation": None, "unknown_sender": "accept"},
            [REVIEW, ("unreadable", "client")],
        ),
        ({"ticket": make_ticket(), "outsider": True}, [REVIEW, ("unreadable", "client")]),
    ],
)
def test_an_encrypted_mail(facts, notices):
    message = make_message(encrypted=True)
    assert not needs_triage(message, make_facts(**facts))
    decision = run(message, triage=None, **facts)
    assert decision.outcome == "held"
    assert told(decision) == notices
    assert decision.new_ticket is not None
    assert decision.new_ticket.linked_to is None


@pytest.mark.parametrize("state", State)
def test_an_outsider_gets_nothing_and_changes_nothing(state):
    message = make_message(senders=(STRANGER,))
    facts = {"ticket": make_ticket(state), "outsider": True, "organisation": None}
    assert not needs_triage(message, make_facts(**facts))
    decision = run(message, triage=None, **facts)
    assert decision.outcome == "held"
    assert told(decision) == [REVIEW]
    assert decision.ticket_id is None  # no step on the ticket itself
    ticket = decision.new_ticket
    assert ticket is not None
    assert ticket.requester == STRANGER.address
    assert ticket.linked_to is None  # not even a trace that could be shown later
    assert decision.reason.startswith("someone outside the thread")


def test_agents_read_which_ticket_an_outsider_answered():
    outsider = {"triage": None, "outsider": True}
    assert "(MF-2026-000007)" in run(ticket=make_ticket(), **outsider).reason
    assert "(ticket 7)" in run(ticket=make_ticket(State.INCOMPLETE), **outsider).reason


PERMANENT = BouncedRecipient("ann@client.example", "5.1.1", True)
DELAYED = BouncedRecipient("bob@client.example", "4.2.2", False)


@pytest.mark.parametrize(
    ("bounce", "ticket", "outcome"),
    [
        (Bounce((PERMANENT, DELAYED)), make_ticket(), "bounced"),
        (Bounce((DELAYED,)), make_ticket(), "ignored"),  # it may still arrive
        (Bounce(()), make_ticket(), "ignored"),
        (None, make_ticket(), "ignored"),  # a bounce that could not be read
        (Bounce((PERMANENT,)), None, "ignored"),  # a refusal that came back: no ticket
    ],
)
def test_a_bounce_of_our_own_mail(bounce, ticket, outcome):
    message = make_message(
        message_class=MessageClass.BOUNCE, class_reason="user unknown", bounce=bounce
    )
    decision = run(message, triage=None, ticket=ticket, bounced="our mail 'registration'")
    assert decision.outcome == outcome
    if outcome == "ignored":
        assert decision.reason == "bounce of our mail 'registration': user unknown"
        assert decision.notices == decision.steps == ()
        return
    assert decision.reason == "our mail 'registration' did not reach ann@client.example"
    assert told(decision) == [("agent_problem", "agent")]
    (step,) = decision.steps
    assert step.changes == {"undelivered": True}
    assert step.data["recipients"] == ["ann@client.example"]


def test_a_forged_bounce_says_nothing():
    message = make_message(message_class=MessageClass.BOUNCE, bounce=Bounce((PERMANENT,)))
    assert run(message, triage=None, ticket=make_ticket(), bounced=None).outcome == "ignored"


def test_after_the_grace_time_a_reply_opens_a_linked_ticket():
    old = make_ticket(State.CLOSED, closed_at=NOW - timedelta(days=15))
    decision = run(make_message("It is broken again."), ticket=old)
    assert decision.outcome == "registered"
    assert decision.new_ticket is not None
    assert decision.new_ticket.linked_to == old.id


def test_a_reply_in_the_thread_joins_its_ticket():
    decision = run(make_message("It hangs as well."), triage=None, ticket=make_ticket())
    assert (decision.outcome, decision.ticket_id) == ("forwarded", 7)
    assert decision.new_ticket is None


def test_colleagues_in_copy_are_watchers_of_a_new_ticket():
    decision = run(watchers=("bob@client.example",))
    assert decision.new_ticket is not None
    assert decision.new_ticket.watchers == ("bob@client.example",)


@pytest.mark.parametrize(
    ("mail", "wished", "answered"),
    [
        ("en", "fr", "en"),  # the mail's own language first
        ("de", "en", "en"),  # none that we write: the organisation's
        ("und", None, "fr"),
        ("de", "es", "fr"),  # neither: the desk's
    ],
)
def test_language_for(mail, wished, answered):
    facts = make_facts(organisation=replace(ORGANISATION, language=wished))
    assert language_for(make_message(language=mail), facts) == answered


def test_language_for_a_stranger():
    assert language_for(make_message(language="de"), make_facts(organisation=None)) == "fr"


def test_given_items():
    assert given_items(ASK) == {"description", "feature"}
    assert len(given_items(REGISTER)) == len(Item)


@pytest.mark.parametrize(
    ("state", "needed"),
    [
        (None, True),  # a new request
        ("incomplete", True),
        ("abandoned", True),
        ("closed", True),  # it may be a new problem
        ("open", False),
        ("pending", False),
        ("resolved", False),
        ("held", False),
        ("excluded", False),
    ],
)
def test_needs_triage(state, needed):
    ticket = make_ticket(State(state)) if state else None
    assert needs_triage(make_message(), make_facts(ticket=ticket)) is needed


TRIAGES = st.sampled_from([REGISTER, ASK, EXCLUDE, HOLD, IGNORE])
MAILS = st.builds(
    make_message,
    st.sampled_from(["It works, thanks!", "Still broken.", "", "1. Open it and then click on X"]),
    senders=st.sampled_from([(CLIENT,), (STRANGER,), TWO, (), (Address("", SUPPORT),)]),
    message_class=st.sampled_from([*MessageClass, *([MessageClass.PERSON] * 7)]),
    encrypted=st.sampled_from([False, False, False, True]),
    bounce=st.sampled_from([None, Bounce((PERMANENT,))]),
)
FACTS = st.builds(
    make_facts,
    organisation=st.sampled_from([None, ORGANISATION, ENDED, Organisation("X")]),
    unknown_sender=st.sampled_from(["hold", "refuse", "accept"]),
    ticket=st.none()
    | st.builds(
        make_ticket,
        st.sampled_from(State),
        closed_at=st.sampled_from([None, NOW, NOW - timedelta(days=90)]),
        asked=st.sampled_from([(), ("steps",)]),
        times_asked=st.integers(0, 4),
        workaround=st.booleans(),
        priority=st.sampled_from([None, 1, 3]),
    ),
    outsider=st.booleans(),
    held_notice=st.booleans(),
    in_quota=st.booleans(),
    bounced=st.sampled_from([None, "our mail 'registration'"]),
)


@given(MAILS, FACTS, TRIAGES)
def test_every_mail_gets_one_decision_that_can_be_carried_out(message, facts, triage):
    decision = decide(message, facts, triage if needs_triage(message, facts) else None, NOW)
    assert decision.outcome
    assert decision.reason
    assert decision.new_ticket is None or decision.ticket_id is None
    if decision.ticket_id is not None:
        assert facts.ticket is not None
        state = facts.ticket.state
        for step in decision.steps:
            if step.action is not None:
                state = TRANSITIONS[state, step.action]  # no step that the table forbids
    to_people = [n for n in decision.notices if n.audience in (Audience.CLIENT, Audience.SENDER)]
    if message.message_class is not MessageClass.PERSON:
        assert to_people == []  # machines never get an answer
        assert decision.new_ticket is None
    if facts.ticket is not None and facts.outsider:
        allowed = {NoticeKind.UNREADABLE, NoticeKind.HELD}
        assert {notice.kind for notice in to_people} <= allowed
    assert len(to_people) <= 1  # nobody is answered twice for one mail


@pytest.mark.parametrize(
    ("language", "notices"),
    [
        ("de", [REVIEW, ("held", "client")]),  # nobody here reads it yet: the client is told so
        ("fr", [REVIEW]),  # a human looks before anything is said
    ],
)
def test_a_client_in_another_language_is_told_that_a_human_looks(language, notices):
    decision = run(make_message(language=language), triage=HOLD)
    assert decision.outcome == "held"
    assert told(decision) == notices
    assert decision.new_ticket is not None
    assert decision.new_ticket.language == "fr"
