"""Carry orders out on a ticket, as values: steps, notices, and a transcript for the agent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mailflow.core.agents import Agent, Role
from mailflow.core.authority import is_well_formed
from mailflow.core.commands import Command, Orders, Verb, fold
from mailflow.core.decisions import Audience, Json, Notice, NoticeKind, Step
from mailflow.core.tickets import Action, State, Ticket, next_state
from mailflow.errors import StateError

SPLIT_DONE = "the last mail has its own ticket"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who orders, and with what rights."""

    name: str
    address: str
    role: Role


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from orders. `done` and `refused` are the lines of the transcript."""

    ticket: Ticket
    steps: tuple[Step, ...] = ()
    notices: tuple[Notice, ...] = ()
    done: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    labels: Mapping[str, Json] = field(default_factory=dict)  # corrections, to train on
    linked: tuple[str, ...] = ()  # references of other tickets, for merge and link
    splits: bool = False


def act(orders: Orders, ticket: Ticket, actor: Actor, agents: Sequence[Agent]) -> Outcome:
    """Carry `orders` out in their order; what the state or the rights forbid is refused alone.

    The answer to the client is its own notice, unless a command takes it along (a resolution, a
    workaround, a question, a wait).
    """
    outcome = Outcome(ticket)
    text = orders.answer
    carried = False
    if actor.role is Role.OBSERVER and (orders.has_commands or text):
        tried = [command.line for command in orders.commands]
        tried += [line for line, _ in orders.unknown]
        tried += ["your note"] if orders.note else []
        tried += ["your answer"] if text else []
        refused = tuple(f"{each}: observers may read, not act" for each in tried)
        return replace(outcome, refused=refused)
    for command in orders.commands:
        try:
            outcome = _ACTS[command.verb](outcome, command, actor, agents, text)
            carried = carried or (bool(text) and command.verb in _CARRIES)
        except StateError as error:
            outcome = replace(outcome, refused=(*outcome.refused, f"{command.line}: {error}"))
    for line, mend in orders.unknown:
        outcome = replace(outcome, refused=(*outcome.refused, f"{line}: not understood; {mend}"))
    if orders.note:
        outcome = _with(
            outcome, Step("note", data={"text": orders.note, "by": actor.name}), done="note kept"
        )
    if text and not carried:
        outcome = _answer(outcome, text, actor)
    return outcome


def _answer(outcome: Outcome, text: str, actor: Actor) -> Outcome:
    data = {"text": text, "author": actor.name}
    return _with(
        outcome,
        Step("answered", data={"by": actor.name}),
        Notice(NoticeKind.ANSWER, Audience.CLIENT, data),
        done="your answer went to the client",
    )


def _with(
    outcome: Outcome,
    step: Step,
    *notices: Notice,
    done: str = "",
    labels: Mapping[str, Json] | None = None,
) -> Outcome:
    """Return `outcome` with one more step, its effect on the ticket, and its notices."""
    ticket = outcome.ticket
    if step.action is not None:
        ticket = replace(ticket, state=next_state(ticket.state, step.action))
    ticket = replace(ticket, priority=step.changes.get("priority", ticket.priority))
    return replace(
        outcome,
        ticket=ticket,
        steps=(*outcome.steps, step),
        notices=(*outcome.notices, *notices),
        done=(*outcome.done, done) if done else outcome.done,
        labels={**outcome.labels, **(labels or {})},
    )


def _priority(
    outcome: Outcome, command: Command, actor: Actor, agents: Sequence[Agent], text: str
) -> Outcome:
    old, new = outcome.ticket.priority, int(command.argument)
    if outcome.ticket.state in (State.CLOSED, State.EXCLUDED):
        raise StateError(f"the ticket is {outcome.ticket.state.value}; reopen or include it first")
    if not command.reason and old != new:
        raise StateError(
            "give the reason: the client is told of it, e.g. #priority 2 one site only"
        )
    if old == new:
        return _validate(outcome, command, actor, agents, text)
    change = {"old": old, "new": new, "reason": command.reason, "by": actor.name}
    told = (Notice(NoticeKind.PRIORITY_CHANGED, Audience.CLIENT, change),)
    return _with(
        outcome,
        Step("priority_changed", changes={"priority": new, "review": []}, data=change),
        *(told if outcome.ticket.is_registered else ()),
        done=f"priority: P{old} → P{new}" if old else f"priority: P{new}",
        labels={"priority": new},
    )


def _validate(
    outcome: Outcome, command: Command, actor: Actor, agents: Sequence[Agent], text: str
) -> Outcome:
    step = Step("validated", changes={"review": []}, data={"by": actor.name})
    if outcome.ticket.state is State.HELD:
        step = replace(step, action=Action.REGISTER)
        notice = Notice(NoticeKind.REGISTRATION, Audience.CLIENT)
        return _with(outcome, step, notice, done="validated and registered")
    if outcome.ticket.state in (State.INCOMPLETE, State.ABANDONED):
        step = replace(step, action=Action.REGISTER)
        notice = Notice(NoticeKind.REGISTRATION, Audience.CLIENT)
        return _with(outcome, step, notice, done="registered as it is")
    priority = outcome.ticket.priority
    if priority is None:
        return _with(outcome, step, done="validated")
    return _with(outcome, step, done=f"validated: P{priority}", labels={"priority": priority})


def _ask(
    outcome: Outcome, command: Command, actor: Actor, agents: Sequence[Agent], text: str
) -> Outcome:
    question = "\n\n".join(part for part in (command.reason, text) if part)
    items = list(command.words)
    if not items and not question:
        raise StateError("name what to ask for (steps, error_message …) or write the question")
    data = {"missing": items, "question": question, "again": True}
    step = Step("asked", Action.ASK, {"asked": items}, {"items": items, "by": actor.name})
    notice = Notice(NoticeKind.REQUEST_INFORMATION, Audience.CLIENT, data)
    names = ", ".join(items) or "your question"
    labels = {"missing": items} if items else {}
    return _with(outcome, step, notice, done=f"asked the client for {names}", labels=labels)


def _wait(
    outcome: Outcome, command: Command, actor: Actor, agents: Sequence[Agent], text: str
) -> Outcome:
    data = {"text": text, "author": actor.name}
    notice = Notice(NoticeKind.WAITING, Audience.CLIENT, data)
    step = Step("waiting", Action.WAIT, data={"by": actor.name})
    return _with(outcome, step, notice, done="waiting for the client; the clock is paused")


def _resolve(
    outcome: Outcome, command: Command, actor: Actor, agents: Sequence[Agent], text: str
) -> Outcome:
    is_workaround = command.verb is Verb.WORKAROUND
    words = text or command.reason
    if not words:
        raise StateError("write to the client what was done, below the command")
    action = Action.WORKAROUND if is_workaround else Action.RESOLVE
    kind = "workaround" if is_workaround else "resolved"
    data = {"text": words, "workaround": is_workaround, "author": actor.name}
    return _with(
        outcome,
        Step(kind, action, {"review": []}, {"by": actor.name}),
        Notice(NoticeKind.RESOLUTION, Audience.CLIENT, data),
        done=f"{kind}: the client was asked to confirm",
    )


def _close(
    outcome: Outcome, command: Command, actor: Actor, agents: Sequence[Agent], text: str
) -> Outcome:
    first = fold(command.words[0]).strip(":,.") if command.words else ""
    forced = first in ("force", "forcer", "forced", "!")
    reason = " ".join(command.words[1:]) if forced else ""
    if not forced or not reason:
        raise StateError(
            "the client has not confirmed; #resolve asks for it, "
            "or write #close force and the reason"
        )
    step = Step("closed", Action.CLOSE, data={"by": actor.name, "reason": reason, "forced": True})
    told = (Notice(NoticeKind.CLOSED, Audience.CLIENT),) if outcome.ticket.is_registered else ()
    return _with(outcome, step, *told, done="closed without the client's word: " + reason)


def _reopen(
    outcome: Outcome, command: Command, actor: Actor, agents: Sequence[Agent], text: str
) -> Outcome:
    step = Step("reopened", Action.REOPEN, data={"by": actor.name})
    told = Notice(NoticeKind.REOPENED, Audience.CLIENT)
    return _with(outcome, step, told, done="reopened; the same clock goes on")


def _assign(
    outcome: Outcome, command: Command, actor: Actor, agents: Sequence[Agent], text: str
) -> Outcome:
    wanted = fold(command.argument).removeprefix("@").strip(" .,;:<>")
    if wanted in ("me", "moi"):
        wanted = actor.address
    agents = [agent for agent in agents if agent.role is not Role.OBSERVER]  # they only read
    found = [a for a in agents if wanted == a.address or wanted == fold(a.name)] or [
        a for a in agents if wanted in fold(a.name).split()
    ]
    if len(found) != 1:
        names = ", ".join(agent.name for agent in agents)
        what = "several agents are called" if found else "no agent is called"
        raise StateError(f"{what} {command.argument!r}; agents: {names}")
    agent = found[0]
    step = Step(
        "assigned",
        changes={"agent": agent.address},
        data={"agent": agent.address, "name": agent.name, "reason": f"by {actor.name}"},
    )
    notice = Notice(NoticeKind.AGENT_NEW, Audience.AGENT, {"to": agent.address})
    return _with(outcome, step, notice, done=f"assigned to {agent.name}")


def _exclude(
    outcome: Outcome, command: Command, actor: Actor, agents: Sequence[Agent], text: str
) -> Outcome:
    changes = {"exclusion": command.argument, "kind": "excluded", "review": []}
    data = {"exclusion": command.argument, "by": actor.name, "reason": command.reason}
    return _with(
        outcome,
        Step("excluded", Action.EXCLUDE, changes, data),
        Notice(NoticeKind.EXCLUSION, Audience.CLIENT),
        done=f"excluded: {command.argument}",
        labels={"kind": "excluded", "exclusion": command.argument},
    )


def _include(
    outcome: Outcome, command: Command, actor: Actor, agents: Sequence[Agent], text: str
) -> Outcome:
    changes: dict[str, Json] = {"exclusion": None, "kind": "problem", "review": []}
    told = NoticeKind.REOPENED if outcome.ticket.is_registered else NoticeKind.REGISTRATION
    return _with(
        outcome,
        Step("included", Action.INCLUDE, changes, {"by": actor.name}),
        Notice(told, Audience.CLIENT),
        done="included: the ticket is registered",
        labels={"kind": "problem", "exclusion": None},
    )


def _spam(
    outcome: Outcome, command: Command, actor: Actor, agents: Sequence[Agent], text: str
) -> Outcome:
    step = Step("closed", Action.SPAM, {"kind": "noise"}, {"by": actor.name, "reason": "spam"})
    return _with(outcome, step, done="closed as spam; nobody is told", labels={"kind": "noise"})


def _merge(
    outcome: Outcome, command: Command, actor: Actor, agents: Sequence[Agent], text: str
) -> Outcome:
    data = {"into": command.argument.upper(), "by": actor.name, "reason": "merged"}
    merged = _with(
        outcome, Step("merged", Action.MERGE, data=data), done=f"merged into {command.argument}"
    )
    return replace(merged, linked=(*outcome.linked, command.argument.upper()))


def _link(
    outcome: Outcome, command: Command, actor: Actor, agents: Sequence[Agent], text: str
) -> Outcome:
    data = {"with": command.argument.upper(), "by": actor.name}
    linked = _with(outcome, Step("linked", data=data), done=f"linked with {command.argument}")
    return replace(linked, linked=(*outcome.linked, command.argument.upper()))


def _split(
    outcome: Outcome, command: Command, actor: Actor, agents: Sequence[Agent], text: str
) -> Outcome:
    step = Step("split", data={"by": actor.name})
    return replace(_with(outcome, step, done=SPLIT_DONE), splits=True)


def _allow(
    outcome: Outcome, command: Command, actor: Actor, agents: Sequence[Agent], text: str
) -> Outcome:
    address = command.argument.lower()
    if not is_well_formed(address):
        raise StateError("expected a mail address, such as #allow paul@client.example")
    step = Step("watcher_allowed", data={"watchers": [address], "by": actor.name})
    return _with(outcome, step, done=f"{address} may now read this thread")


_CARRIES = frozenset({Verb.ASK, Verb.WAIT, Verb.RESOLVE, Verb.WORKAROUND})
_Act = Callable[[Outcome, Command, Actor, Sequence[Agent], str], Outcome]
_ACTS: dict[Verb, _Act] = {
    Verb.PRIORITY: _priority,
    Verb.VALIDATE: _validate,
    Verb.ASK: _ask,
    Verb.WAIT: _wait,
    Verb.WORKAROUND: _resolve,
    Verb.RESOLVE: _resolve,
    Verb.CLOSE: _close,
    Verb.REOPEN: _reopen,
    Verb.ASSIGN: _assign,
    Verb.EXCLUDE: _exclude,
    Verb.INCLUDE: _include,
    Verb.MERGE: _merge,
    Verb.SPLIT: _split,
    Verb.LINK: _link,
    Verb.SPAM: _spam,
    Verb.ALLOW: _allow,
}
