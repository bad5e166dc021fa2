from dataclasses import replace
from datetime import UTC, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailflow.core.agents import Agent, Role, choose_agent, find_agent, is_on_duty
from tests.factories import AGENTS, JOHN, MARIE, NOW, OLIVER, SUSAN

OFFICE = ((time(9), time(12)), (time(14), time(18)))


def test_the_first_language_is_the_agents_own():
    assert SUSAN.language == "en"
    assert Agent("A", "a@support.example").language is None


@pytest.mark.parametrize(
    ("address", "agent"),
    [
        ("marie@support.example", MARIE),
        ("MARIE@Support.Example", MARIE),  # case does not matter
        ("marie@support.example.evil.example", None),
        ("xmarie@support.example", None),
        ("", None),
        (None, None),  # a mail without a sender
    ],
)
def test_find_agent(address, agent):
    assert find_agent(AGENTS, address) is agent


@pytest.mark.parametrize(
    ("now", "on_duty"),
    [
        ("2026-03-03T08:00Z", True),  # 09:00 in Paris, the first minute
        ("2026-03-03T07:59Z", False),
        ("2026-03-03T10:59:59Z", True),
        ("2026-03-03T11:00Z", False),  # 12:00 sharp: lunch
        ("2026-03-03T13:00Z", True),
        ("2026-03-03T17:00Z", False),  # 18:00 sharp
        ("2026-03-04T10:00Z", False),  # a Wednesday, which is not in the table
        ("2026-06-30T07:00Z", True),  # summer time: 09:00 in Paris is 07:00 UTC
        ("2026-03-02T23:30Z", False),  # Monday in UTC, Tuesday in Paris, before opening
    ],
)
def test_hours_are_in_the_agents_own_zone(now, on_duty):
    agent = replace(MARIE, on_duty={1: OFFICE})
    assert is_on_duty(agent, datetime.fromisoformat(now)) is on_duty


def test_another_zone():
    agent = replace(MARIE, on_duty={1: OFFICE}, timezone="America/Montreal")
    assert is_on_duty(agent, datetime(2026, 3, 3, 14, 0, tzinfo=UTC))  # 9:00 there
    assert not is_on_duty(agent, datetime(2026, 3, 3, 8, 0, tzinfo=UTC))


@pytest.mark.parametrize("hours", [None, {}])
def test_no_hours_mean_always(hours):
    assert is_on_duty(replace(MARIE, on_duty=hours), datetime(2026, 3, 1, 3, 0, tzinfo=UTC))


A = Agent("A", "a@support.example", ("fr",))
B = Agent("B", "b@support.example", ("fr",))
NEVER = {0: ()}  # hours on Monday only, and none then


@pytest.mark.parametrize(
    ("agents", "options", "chosen", "reason"),
    [
        ((A, B), {}, "a", "on duty; speaks fr; 0 open tickets"),  # by address, always the same
        ((B, A), {}, "a", "0 open"),  # the order in the file does not matter
        ((A, B), {"open_tickets": {A.address: 1}}, "b", "0 open"),  # the one with less to do
        (
            (A, B),
            {"last_assigned": {A.address: NOW}},  # rotation: B never had one
            "b",
            "on duty",
        ),
        ((A, replace(B, languages=("en",))), {"language": "en"}, "b", "speaks en"),
        ((A, B), {"language": "de"}, "a", "nobody speaks de"),
        ((replace(A, on_duty=NEVER), B), {"open_tickets": {B.address: 9}}, "b", "9 open tickets"),
        ((replace(A, on_duty=NEVER),), {}, "a", "nobody is on duty, next in turn"),
        (
            (A, replace(B, skills=("edi",))),
            {"skills": frozenset({"edi"}), "open_tickets": {B.address: 5}},
            "b",  # a skill that is wanted counts more than load
            "5 open",
        ),
        (
            (replace(A, role=Role.SUPERVISOR), B),
            {"open_tickets": {B.address: 5}},
            "b",  # supervisors only where no agent can
            "5 open",
        ),
        ((replace(A, role=Role.SUPERVISOR),), {}, "a", "on duty"),
        ((A, B), {"not_these": frozenset({A.address})}, "b", "on duty"),  # A is absent
    ],
)
def test_choose_agent(agents, options, chosen, reason):
    options = {"language": "fr", "open_tickets": {}, "last_assigned": {}} | options
    agent, why = choose_agent(agents, now=NOW, **options)
    assert agent is not None
    assert agent.address == f"{chosen}@support.example"
    assert reason in why


@pytest.mark.parametrize(
    ("agents", "not_these"),
    [
        ((), frozenset()),  # no agents.toml yet
        ((OLIVER,), frozenset()),  # observers never get tickets
        ((JOHN,), frozenset({JOHN.address})),  # the only one is absent
    ],
)
def test_nobody_can_take_it(agents, not_these):
    agent, why = choose_agent(agents, "fr", NOW, {}, {}, not_these=not_these)
    assert agent is None
    assert why == "no agent is configured who could take it"


@given(
    st.permutations(AGENTS),
    st.dictionaries(st.sampled_from([a.address for a in AGENTS]), st.integers(0, 3)),
    st.sampled_from(["fr", "en", "de"]),
)
def test_the_choice_is_the_same_every_time_and_never_an_observer(agents, load, language):
    agent, _ = choose_agent(agents, language, NOW, load, {})
    assert agent == choose_agent(AGENTS, language, NOW, load, {})[0]
    assert agent is not None
    assert agent.role is not Role.OBSERVER
