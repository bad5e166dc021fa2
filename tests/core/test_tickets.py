import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailflow.core.tickets import TRANSITIONS, Action, State, allowed_actions, next_state
from mailflow.errors import StateError
from tests.factories import make_ticket

# The whole table, written a second time in another way: a change here must be meant.
ALLOWED = {
    "incomplete": "register ask client_replied close exclude abandon merge spam",
    "open": "ask wait client_replied resolve workaround close exclude merge spam",
    "pending": "ask client_replied resolve workaround close reopen exclude merge spam",
    "resolved": "client_replied confirm refuse keep_open close reopen merge spam",
    "closed": "client_replied reopen",
    "excluded": "client_replied close include merge spam",
    "held": "register ask client_replied close exclude merge spam",
    "abandoned": "register close revive merge spam",
}


@pytest.mark.parametrize("state", State)
def test_what_may_happen_in_each_state(state):
    assert sorted(allowed_actions(state)) == sorted(ALLOWED[state].split())


def test_allowed_actions_keep_the_order_of_the_enum():
    assert allowed_actions(State.CLOSED) == (Action.CLIENT_REPLIED, Action.REOPEN)


@pytest.mark.parametrize(
    ("state", "action", "after"),
    [
        ("incomplete", "register", "open"),  # all items are there
        ("incomplete", "ask", "incomplete"),  # asked again
        ("incomplete", "abandon", "abandoned"),  # the last reminder went unanswered
        ("abandoned", "revive", "incomplete"),  # any later reply revives it
        ("held", "register", "open"),  # an agent validated it
        ("held", "ask", "incomplete"),  # an agent asked the unknown sender
        ("open", "ask", "pending"),  # the clock pauses
        ("open", "wait", "pending"),
        ("pending", "client_replied", "open"),  # the answer ends the pause
        ("open", "resolve", "resolved"),
        ("pending", "workaround", "resolved"),
        ("resolved", "confirm", "closed"),  # only the client's yes closes
        ("resolved", "refuse", "open"),
        ("resolved", "keep_open", "open"),  # a workaround confirmed: the rest goes on
        ("resolved", "client_replied", "resolved"),  # unclear: nothing closes, nothing reopens
        ("closed", "reopen", "open"),  # within the grace time
        ("closed", "client_replied", "closed"),  # thanks
        ("excluded", "include", "open"),  # an objection was right
        ("excluded", "client_replied", "excluded"),  # an objection goes to an agent
        ("open", "merge", "closed"),
        ("held", "spam", "closed"),
    ],
)
def test_next_state(state, action, after):
    assert next_state(State(state), Action(action)) is State(after)


@pytest.mark.parametrize(
    ("state", "action", "reason"),
    [
        ("open", "confirm", "only a proposed solution can be confirmed"),
        ("open", "refuse", "no solution was proposed"),
        ("closed", "resolve", "only a ticket in work can be resolved"),
        ("held", "workaround", "only a ticket in work can get a workaround"),
        ("open", "reopen", "only a waiting, resolved or closed ticket"),
        ("open", "include", "only an excluded ticket can be included"),
        ("pending", "wait", "only an open ticket can be set to wait"),  # it waits already
        ("open", "abandon", "only an incomplete ticket"),  # a registered one is a promise
        ("open", "register", "registered already"),  # a second number for one ticket
        ("closed", "close", "its state does not allow that"),  # an action without its own reason
    ],
)
def test_illegal_steps_are_refused_with_a_reason(state, action, reason):
    with pytest.raises(StateError, match=f"cannot {action} a ticket that is {state}: .*{reason}"):
        next_state(State(state), Action(action))


@given(st.sampled_from(State), st.lists(st.sampled_from(Action), max_size=30))
def test_no_walk_leaves_the_table(state, actions):
    for action in actions:
        if action in allowed_actions(state):
            state = next_state(state, action)
            assert isinstance(state, State)
        else:
            with pytest.raises(StateError):
                next_state(state, action)


def test_closed_is_reached_only_by_consent_or_by_an_agents_order():
    ways = {action for (_, action), after in TRANSITIONS.items() if after is State.CLOSED}
    agents = {Action.CLOSE, Action.MERGE, Action.SPAM}
    assert ways == {Action.CONFIRM, Action.CLIENT_REPLIED} | agents
    assert (State.RESOLVED, Action.CLIENT_REPLIED) in TRANSITIONS
    assert TRANSITIONS[State.RESOLVED, Action.CLIENT_REPLIED] is not State.CLOSED


def test_no_state_is_a_trap():
    for state in State:
        assert allowed_actions(state), state


def test_a_ticket_is_registered_once_it_has_its_number():
    assert make_ticket().is_registered
    assert not make_ticket(State.INCOMPLETE).is_registered
