from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailflow.core.acting import Actor, act
from mailflow.core.agents import Role
from mailflow.core.commands import parse_orders
from mailflow.core.decisions import Audience, NoticeKind
from mailflow.core.tickets import TRANSITIONS, State
from tests.factories import AGENTS, make_ticket

MARIE = Actor("Marie Dupont", "marie@support.example", Role.AGENT)
CHIEF = Actor("Susan Chief", "susan@support.example", Role.SUPERVISOR)
OBSERVER = Actor("Oliver Watcher", "oliver@support.example", Role.OBSERVER)


def run(text, state=State.OPEN, actor=MARIE, **changes):
    return act(parse_orders(text), make_ticket(state, **changes), actor, AGENTS)


def kinds(outcome):
    return [notice.kind.value for notice in outcome.notices]


@pytest.mark.parametrize(
    ("text", "state", "after", "notices", "done"),
    [
        ("Hello", "open", "open", "answer", "your answer went to the client"),
        ("#priority 2 one site", "open", "open", "priority_changed", "priority: P3 → P2"),
        ("#priority 3", "open", "open", "", "validated: P3"),  # the same: no reason needed
        ("#priority 2 x", "held", "held", "", "priority: P3 → P2"),  # not told of: no number yet
        ("#validate", "open", "open", "", "validated: P3"),
        ("#validate", "held", "open", "registration", "validated and registered"),
        ("#validate", "incomplete", "open", "registration", "registered as it is"),
        ("#validate", "abandoned", "open", "registration", "registered as it is"),
        ("#ask steps", "open", "pending", "request_information", "asked the client for steps"),
        ("#ask Which one?", "open", "pending", "request_information", "for your question"),
        ("#ask\nWhich one?", "held", "incomplete", "request_information", "for your question"),
        ("#wait", "open", "pending", "waiting", "the clock is paused"),
        ("#workaround\nUse B", "open", "resolved", "resolution", "workaround: the client was"),
        ("#resolve\nDone", "pending", "resolved", "resolution", "resolved: the client was asked"),
        ("#resolve done", "open", "resolved", "resolution", "resolved: the client was asked"),
        (
            "#close force silent",
            "resolved",
            "closed",
            "closed",
            "without the client's word: silent",
        ),
        ("#close Forcé: muet", "open", "closed", "closed", "without the client's word: muet"),
        ("#clore FORCER x", "open", "closed", "closed", "x"),
        ("#close ! silent", "open", "closed", "closed", "silent"),
        ("#close force x", "held", "closed", "", "x"),  # nobody was told of it before
        ("#reopen", "closed", "open", "reopened", "the same clock goes on"),
        ("#assign me", "open", "open", "agent_new", "assigned to Marie Dupont"),
        ("#exclude training", "open", "excluded", "exclusion", "excluded: training"),
        ("#include", "excluded", "open", "registration", "included"),
        ("#merge mf-2026-000009", "open", "closed", "", "merged into mf-2026-000009"),
        ("#link MF-2026-000009", "closed", "closed", "", "linked with MF-2026-000009"),
        ("#split", "open", "open", "", "has its own ticket"),
        ("#spam", "held", "closed", "", "closed as spam; nobody is told"),
        ("#allow Paul@Client.example", "open", "open", "", "paul@client.example may now read"),
        ("#note internal", "closed", "closed", "", "note kept"),
    ],
)
def test_each_command_alone(text, state, after, notices, done):
    outcome = run(text, State(state))
    assert outcome.refused == ()
    assert outcome.ticket.state is State(after)
    assert kinds(outcome) == notices.split()
    assert done in outcome.done[0]
    assert len(outcome.done) == len(outcome.steps) == 1


@pytest.mark.parametrize(
    ("text", "state", "reason"),
    [
        ("#priority 2", "open", "give the reason: the client is told of it"),
        ("#priority 2 x", "closed", "the ticket is closed; reopen or include it first"),
        ("#priority 2 x", "excluded", "the ticket is excluded; reopen or include it first"),
        ("#ask", "open", "name what to ask for"),  # nothing to ask
        ("#ask steps", "closed", "cannot ask a ticket that is closed"),
        ("#wait", "pending", "only an open ticket can be set to wait"),
        ("#wait", "incomplete", "only an open ticket can be set to wait"),
        ("#resolve", "open", "write to the client what was done"),
        ("#workaround", "open", "write to the client what was done"),
        ("#resolve it works", "held", "only a ticket in work can be resolved"),
        ("#close", "open", "the client has not confirmed; #resolve asks for it"),
        ("#close", "resolved", "the client has not confirmed"),
        ("#close because I say so", "open", "or write #close force and the reason"),
        ("#close force", "open", "or write #close force and the reason"),  # no reason
        ("#close force x", "closed", "cannot close a ticket that is closed"),
        ("#reopen", "open", "only a waiting, resolved or closed ticket"),
        ("#assign Nobody", "open", "no agent is called 'Nobody'; agents: Marie Dupont"),
        ("#assign Oliver", "open", "no agent is called 'Oliver'"),  # observers get no tickets
        ("#assign @", "open", "expected a name or reference"),
        ("#exclude training", "resolved", "cannot exclude"),
        ("#include", "open", "only an excluded ticket can be included"),
        ("#merge MF-2026-000009", "closed", "cannot merge a ticket that is closed"),
        ("#spam", "closed", "cannot spam a ticket that is closed"),
        ("#allow Paul", "open", "expected a mail address"),
        ("#allow @", "open", "expected a name or reference"),
        ("#allow a@", "open", "expected a mail address"),
        ("#allow a@b@c.example", "open", "expected a mail address"),
        ("#allow x@client.example\u202e", "open", "expected a mail address"),
        ("#allow Paul <paul@client.example>", "open", "expected a mail address"),
        ("#zzzz", "open", "not understood; known: #priority"),
    ],
)
def test_refused_and_nothing_changed(text, state, reason):
    outcome = run(text, State(state))
    (line,) = outcome.refused
    assert line.startswith(text)
    assert reason in line
    assert outcome.ticket == make_ticket(State(state))
    assert (outcome.steps, outcome.notices, outcome.done) == ((), (), ())


@pytest.mark.parametrize(
    ("who", "address"),
    [
        ("me", "marie@support.example"),
        ("moi", "marie@support.example"),
        ("john@support.example", "john@support.example"),
        ("<JOHN@support.example>", "john@support.example"),
        ("John Doe", "john@support.example"),
        ("john", "john@support.example"),
        ("@doe", "john@support.example"),
        ("Susan.", "susan@support.example"),
    ],
)
def test_assign(who, address):
    outcome = run(f"#assign {who}")
    assert outcome.steps[0].changes == {"agent": address}
    assert outcome.notices[0].audience is Audience.AGENT
    assert outcome.notices[0].data == {"to": address}


def test_assign_is_not_guessed_between_two():
    twin = replace(AGENTS[1], name="John Smith", address="smith@support.example")
    outcome = act(parse_orders("#assign john"), make_ticket(), MARIE, (*AGENTS, twin))
    assert "several agents are called 'john'" in outcome.refused[0]


def test_the_client_is_told_of_a_new_priority():
    outcome = run("#priority 2 one site only")
    assert outcome.ticket.priority == 2
    (step,) = outcome.steps
    assert step.changes == {"priority": 2, "review": []}
    expected = {"old": 3, "new": 2, "reason": "one site only", "by": "Marie Dupont"}
    assert outcome.notices[0].data == expected
    assert outcome.labels == {"priority": 2}


def test_a_first_priority_has_no_old_one():
    outcome = run("#priority 2 x", State.HELD, priority=None)
    assert outcome.done == ("priority: P2",)


def test_validating_what_has_no_priority_teaches_none():
    outcome = run("#validate", State.EXCLUDED, priority=None)
    assert outcome.done == ("validated",)
    assert outcome.labels == {}


def test_the_question_and_the_text_both_reach_the_client():
    outcome = run("#ask Which version?\nAnd which browser?")
    (notice,) = outcome.notices
    assert notice.data["question"] == "Which version?\n\nAnd which browser?"


def test_named_items_are_labels_and_a_question_is_none():
    assert run("#ask steps").labels == {"missing": ["steps"]}
    assert run("#ask Which version?").labels == {}
    (notice,) = run("#ask steps").notices
    assert notice.data["missing"] == ["steps"]


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("#ask", "request_information"),
        ("#wait", "waiting"),
        ("#resolve", "resolution"),
        ("#workaround", "resolution"),
    ],
)
def test_a_command_takes_the_text_along(command, kind):
    outcome = run(f"{command}\nDear Ann")
    assert kinds(outcome) == [kind]  # not a second mail with the same text
    data = outcome.notices[0].data
    assert "Dear Ann" in (data.get("text"), data.get("question"))


def test_the_text_goes_out_when_the_command_is_refused():
    outcome = run("#resolve\nDear Ann", State.HELD)
    assert kinds(outcome) == ["answer"]
    assert len(outcome.refused) == 1


def test_commands_text_and_note_together():
    outcome = run("#priority 2 x\n#nosuch\n#assign john\nDear Ann\n#note slow client")
    assert kinds(outcome) == ["priority_changed", "agent_new", "answer"]
    assert [step.kind for step in outcome.steps] == [
        "priority_changed",
        "assigned",
        "note",
        "answered",
    ]
    assert len(outcome.done) == 4
    assert len(outcome.refused) == 1
    assert "slow" not in str(outcome.notices)


def test_orders_act_on_what_the_ones_before_left():
    outcome = run("#validate\n#priority 1 all are down\n#wait", State.HELD)
    assert outcome.refused == ()
    assert outcome.ticket.state is State.PENDING
    assert outcome.ticket.priority == 1


def test_one_refused_order_does_not_stop_the_next():
    outcome = run("#reopen\n#wait")
    assert outcome.ticket.state is State.PENDING
    assert len(outcome.refused) == len(outcome.done) == 1


def test_include_a_registered_ticket_is_a_reopening():
    outcome = run("#include", State.EXCLUDED, reference="MF-2026-000007")
    assert kinds(outcome) == ["reopened"]
    assert outcome.labels == {"kind": "problem", "exclusion": None}


def test_links_are_named_in_upper_case():
    assert run("#merge mf-2026-000009").linked == ("MF-2026-000009",)
    assert run("#link mf-2026-000009").linked == ("MF-2026-000009",)
    assert run("#split").splits


def test_corrections_are_gathered():
    outcome = run("#priority 2 x\n#exclude training")
    assert outcome.labels == {"priority": 2, "kind": "excluded", "exclusion": "training"}
    assert run("#spam").labels == {"kind": "noise"}


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("#close force x\n#nosuch\nHello", ["#close force x", "#nosuch", "your answer"]),
        ("#note x", ["your note"]),
        ("Hello", ["your answer"]),
    ],
)
def test_observers_may_read_not_act(text, refused):
    outcome = run(text, actor=OBSERVER)
    assert outcome.refused == tuple(f"{each}: observers may read, not act" for each in refused)
    assert (outcome.steps, outcome.notices, outcome.ticket) == ((), (), make_ticket())


@pytest.mark.parametrize("actor", [MARIE, CHIEF, OBSERVER])
def test_nothing_written_does_nothing(actor):
    outcome = run("", actor=actor)
    assert (outcome.steps, outcome.notices, outcome.done, outcome.refused) == ((), (), (), ())


COMMANDS = st.sampled_from(
    [
        *("#priority 1 x", "#priority 3", "#validate", "#ask steps", "#ask", "#wait", "#close"),
        *("#workaround y", "#resolve y", "#close force x", "#reopen", "#assign me", "#assign x"),
        *("#include", "#exclude training", "#merge A", "#split", "#link A", "#spam", "#nosuch"),
        *("#allow a@b.example", "#note z"),
    ]
)


@given(
    st.sampled_from(State),
    st.lists(COMMANDS, max_size=8),
    st.sampled_from(["", "Dear Ann"]),
    st.sampled_from([MARIE, CHIEF, OBSERVER]),
    st.sampled_from([None, 1, 3]),
)
def test_any_orders_walk_the_table_and_leave_a_word_each(state, lines, answer, actor, priority):
    orders = parse_orders("\n".join([*lines, answer]))
    ticket = make_ticket(state, priority=priority)
    outcome = act(orders, ticket, actor, AGENTS)
    walked = state
    for step in outcome.steps:
        if step.action is not None:
            walked = TRANSITIONS[walked, step.action]
    assert walked is outcome.ticket.state
    assert "PNone" not in str(outcome)
    words = len(outcome.done) + len(outcome.refused)
    assert words >= len(orders.commands) + len(orders.unknown)
    for notice in outcome.notices:
        assert notice.kind.is_for_agents == (notice.audience is Audience.AGENT)
        assert notice.kind is not NoticeKind.AGENT_TRANSCRIPT
