"""Who works here: agents, their rights, and who gets the next ticket."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo

LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Role(StrEnum):
    """What an agent may do: a supervisor everything, an observer only read."""

    AGENT = "agent"
    SUPERVISOR = "supervisor"
    OBSERVER = "observer"


@dataclass(frozen=True, slots=True)
class Agent:
    """One who answers. `on_duty` holds spans by weekday (0 is Monday); empty means always."""

    name: str
    address: str
    languages: tuple[str, ...] = ()
    role: Role = Role.AGENT
    skills: tuple[str, ...] = ()
    supervisor: str | None = None  # the address of another agent
    on_duty: Mapping[int, tuple[tuple[time, time], ...]] | None = None
    timezone: str = "Europe/Paris"

    @property
    def language(self) -> str | None:
        """The language that mailflow writes to this agent in."""
        return self.languages[0] if self.languages else None


def find_agent(agents: Sequence[Agent], address: str | None) -> Agent | None:
    """Return the agent with exactly this address (any case), or None."""
    wanted = (address or "").lower()
    return next((agent for agent in agents if agent.address == wanted), None)


def is_on_duty(agent: Agent, now: datetime) -> bool:
    """Say whether `now` (aware) lies in the agent's hours, in the agent's own zone."""
    if not agent.on_duty:
        return True
    local = now.astimezone(ZoneInfo(agent.timezone))
    spans = agent.on_duty.get(local.weekday(), ())
    return any(start <= local.time() < end for start, end in spans)


def choose_agent(
    agents: Sequence[Agent],
    language: str,
    now: datetime,
    open_tickets: Mapping[str, int],
    last_assigned: Mapping[str, datetime],
    skills: frozenset[str] = frozenset(),
    not_these: frozenset[str] = frozenset(),
) -> tuple[Agent | None, str]:
    """Choose who gets a ticket in `language`, and say why.

    In order: on duty now, speaks the language, has a skill that is wanted, plain agents before
    supervisors, fewest open tickets, longest without a new one, then by address so that the
    choice is the same every time. Observers never get tickets. No agent at all gives None.
    """
    able = [a for a in agents if a.role is not Role.OBSERVER and a.address not in not_these]
    if not able:
        return None, "no agent is configured who could take it"

    def order(agent: Agent) -> tuple[bool, bool, int, bool, int, datetime, str]:
        return (
            not is_on_duty(agent, now),
            language not in agent.languages,
            -len(skills & set(agent.skills)),
            agent.role is Role.SUPERVISOR,
            open_tickets.get(agent.address, 0),
            last_assigned.get(agent.address, LONG_AGO),
            agent.address,
        )

    best = min(able, key=order)
    duty = "on duty" if is_on_duty(best, now) else "nobody is on duty, next in turn"
    speech = f"speaks {language}" if language in best.languages else f"nobody speaks {language}"
    return best, f"{duty}; {speech}; {open_tickets.get(best.address, 0)} open tickets"
