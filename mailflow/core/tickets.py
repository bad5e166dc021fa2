"""The life of a ticket: its states, and the one table of what may follow what.

Source: contract, 'Enregistrement' and 'clos après validation du Client'.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mailflow.errors import StateError


class State(StrEnum):
    """Where a ticket stands."""

    INCOMPLETE = "incomplete"  # no reference yet: something was asked for
    OPEN = "open"  # registered; the clock runs once the registration was accepted
    PENDING = "pending"  # waiting for the client; the clock is paused
    RESOLVED = "resolved"  # a solution or workaround is proposed; the clock stands
    CLOSED = "closed"  # the client confirmed
    EXCLUDED = "excluded"  # not part of the contract
    HELD = "held"  # needs a human before any answer
    ABANDONED = "abandoned"  # incomplete, and never answered


class Action(StrEnum):
    """What can happen to a ticket."""

    REGISTER = "register"
    ASK = "ask"
    WAIT = "wait"
    CLIENT_REPLIED = "client_replied"
    RESOLVE = "resolve"
    WORKAROUND = "workaround"
    CONFIRM = "confirm"
    REFUSE = "refuse"
    KEEP_OPEN = "keep_open"
    CLOSE = "close"
    REOPEN = "reopen"
    EXCLUDE = "exclude"
    INCLUDE = "include"
    ABANDON = "abandon"
    REVIVE = "revive"
    MERGE = "merge"
    SPAM = "spam"


_S = State
_LIVE = (_S.INCOMPLETE, _S.OPEN, _S.PENDING, _S.RESOLVED, _S.EXCLUDED, _S.HELD, _S.ABANDONED)

TRANSITIONS: dict[tuple[State, Action], State] = {
    (_S.INCOMPLETE, Action.REGISTER): _S.OPEN,
    (_S.HELD, Action.REGISTER): _S.OPEN,
    (_S.ABANDONED, Action.REGISTER): _S.OPEN,
    (_S.ABANDONED, Action.REVIVE): _S.INCOMPLETE,
    (_S.INCOMPLETE, Action.ASK): _S.INCOMPLETE,
    (_S.INCOMPLETE, Action.CLIENT_REPLIED): _S.INCOMPLETE,
    (_S.INCOMPLETE, Action.ABANDON): _S.ABANDONED,
    (_S.OPEN, Action.ASK): _S.PENDING,
    (_S.PENDING, Action.ASK): _S.PENDING,
    (_S.HELD, Action.ASK): _S.INCOMPLETE,
    (_S.OPEN, Action.WAIT): _S.PENDING,
    (_S.OPEN, Action.CLIENT_REPLIED): _S.OPEN,
    (_S.PENDING, Action.CLIENT_REPLIED): _S.OPEN,
    (_S.HELD, Action.CLIENT_REPLIED): _S.HELD,
    (_S.EXCLUDED, Action.CLIENT_REPLIED): _S.EXCLUDED,
    (_S.RESOLVED, Action.CLIENT_REPLIED): _S.RESOLVED,
    (_S.CLOSED, Action.CLIENT_REPLIED): _S.CLOSED,
    (_S.OPEN, Action.RESOLVE): _S.RESOLVED,
    (_S.PENDING, Action.RESOLVE): _S.RESOLVED,
    (_S.OPEN, Action.WORKAROUND): _S.RESOLVED,
    (_S.PENDING, Action.WORKAROUND): _S.RESOLVED,
    (_S.RESOLVED, Action.CONFIRM): _S.CLOSED,
    (_S.RESOLVED, Action.REFUSE): _S.OPEN,
    (_S.RESOLVED, Action.KEEP_OPEN): _S.OPEN,
    (_S.RESOLVED, Action.REOPEN): _S.OPEN,
    (_S.CLOSED, Action.REOPEN): _S.OPEN,
    (_S.PENDING, Action.REOPEN): _S.OPEN,
    (_S.OPEN, Action.EXCLUDE): _S.EXCLUDED,
    (_S.PENDING, Action.EXCLUDE): _S.EXCLUDED,
    (_S.INCOMPLETE, Action.EXCLUDE): _S.EXCLUDED,
    (_S.HELD, Action.EXCLUDE): _S.EXCLUDED,
    (_S.EXCLUDED, Action.INCLUDE): _S.OPEN,
    **{(state, Action.CLOSE): _S.CLOSED for state in _LIVE},
    **{(state, Action.MERGE): _S.CLOSED for state in _LIVE},
    **{(state, Action.SPAM): _S.CLOSED for state in _LIVE},
}

_WHY_NOT = {
    Action.CONFIRM: "only a proposed solution can be confirmed",
    Action.REFUSE: "no solution was proposed that could be refused",
    Action.RESOLVE: "only a ticket in work can be resolved",
    Action.WORKAROUND: "only a ticket in work can get a workaround",
    Action.REOPEN: "only a waiting, resolved or closed ticket can be reopened",
    Action.INCLUDE: "only an excluded ticket can be included",
    Action.WAIT: "only an open ticket can be set to wait",
    Action.ABANDON: "only an incomplete ticket can be abandoned",
    Action.REGISTER: "it is registered already, or can no longer be",
}


def next_state(state: State, action: Action) -> State:
    """Return the state after `action`.

    Raises StateError with the reason where the table does not allow it.
    """
    try:
        return TRANSITIONS[state, action]
    except KeyError:
        reason = _WHY_NOT.get(action, "its state does not allow that")
        raise StateError(
            f"cannot {action.value} a ticket that is {state.value}: {reason}"
        ) from None


def allowed_actions(state: State) -> tuple[Action, ...]:
    """Return what may happen to a ticket in `state`, in the order of `Action`."""
    return tuple(action for action in Action if (state, action) in TRANSITIONS)


@dataclass(frozen=True, slots=True)
class Ticket:
    """A snapshot of a ticket, as the core sees it. Instants are aware UTC."""

    id: int
    state: State
    reference: str | None
    subject: str
    requester: str  # address
    participants: frozenset[str]  # addresses of the client's side, the requester included
    language: str
    priority: int | None
    items: frozenset[str] = frozenset()  # required items that were given so far
    asked: tuple[str, ...] = ()  # items of the last request for information
    times_asked: int = 0
    kind: str = "problem"
    organisation: str | None = None
    agent: str | None = None
    registered_at: datetime | None = None
    closed_at: datetime | None = None
    workaround: bool = False  # what was proposed last is a workaround, not a solution
    undelivered: bool = False  # a mail of ours bounced; the agents were told
    wants_contact: bool = False  # a P1 whose technical contact is not known yet
    text: str = field(default="", repr=False)  # what the client wrote so far, new text only

    @property
    def is_registered(self) -> bool:
        """Whether the ticket has its number."""
        return self.reference is not None
