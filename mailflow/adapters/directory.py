"""Read `organisations.toml` and `agents.toml`: who has a contract, and who works here."""

import re
import tomllib
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mailflow.config import explain
from mailflow.core.agents import Agent, Role
from mailflow.core.organisations import Organisation
from mailflow.errors import ConfigError

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Language = Annotated[str, Field(pattern=r"^[a-z]{2}$")]
_DOMAIN = re.compile(r"[\w-]+(?:\.[\w-]+)+")


class OrganisationForm(_Form):
    """One `[[organisation]]` table."""

    name: Annotated[str, Field(min_length=1)]
    domains: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    language: Language | None = None
    contract_start: date | None = None
    contract_end: date | None = None
    calendar: str | None = None
    targets: dict[Literal["1", "2", "3", "4"], str] = {}

    @field_validator("domains", "addresses")
    @classmethod
    def _lower(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(value.strip().lower() for value in values)

    @field_validator("domains")
    @classmethod
    def _domains(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not _DOMAIN.fullmatch(value):
                raise ValueError(f"expected a domain such as client.example, found {value!r}")
        return values

    @field_validator("addresses")
    @classmethod
    def _addresses(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not re.fullmatch(r"[^@\s<>,;]+@[^@\s<>,;]+", value):
                raise ValueError(f"expected an address such as a@client.example, found {value!r}")
        return values

    def value(self) -> Organisation:
        """Return the core's value."""
        if self.contract_start and self.contract_end and self.contract_end < self.contract_start:
            raise ValueError(f"{self.name}: contract_end lies before contract_start")
        return Organisation(**self.model_dump())


class AgentForm(_Form):
    """One `[[agent]]` table."""

    name: Annotated[str, Field(min_length=1)]
    address: Annotated[str, Field(pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$")]
    languages: tuple[Language, ...] = ()
    role: Role = Role.AGENT
    skills: tuple[str, ...] = ()
    supervisor: str | None = None
    on_duty: dict[str, tuple[str, ...]] | None = None
    timezone: str = "Europe/Paris"

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError("expected a zone name such as Europe/Paris") from error
        return value

    def value(self) -> Agent:
        """Return the core's value. Raises ValueError for hours that cannot be read."""
        hours = None
        if self.on_duty is not None:
            hours = {_weekday(day): tuple(map(_span, s)) for day, s in self.on_duty.items()}
        return Agent(
            name=self.name,
            address=self.address.lower(),
            languages=self.languages,
            role=self.role,
            skills=self.skills,
            supervisor=self.supervisor.lower() if self.supervisor else None,
            on_duty=hours,
            timezone=self.timezone,
        )


def load_organisations(path: Path) -> tuple[Organisation, ...]:
    """Read the organisations; a file that is not there means none.

    Raises ConfigError naming file, entry, what was expected and how to mend it.
    """
    values: list[Organisation] = _load(path, "organisation", OrganisationForm)
    seen: dict[str, str] = {}
    for organisation in values:
        for key in (*organisation.domains, *organisation.addresses):
            if key in seen:
                raise ConfigError(
                    f"{path}: {key} stands in {seen[key]!r} and in {organisation.name!r}; "
                    "a sender can belong to one organisation only"
                )
            seen[key] = organisation.name
    return tuple(values)


def load_agents(path: Path) -> tuple[Agent, ...]:
    """Read the agents; a file that is not there means none. Raises ConfigError as above."""
    values: list[Agent] = _load(path, "agent", AgentForm)
    addresses = [agent.address for agent in values]
    for agent in values:
        if addresses.count(agent.address) > 1:
            raise ConfigError(f"{path}: {agent.address} stands there twice; keep one [[agent]]")
        if agent.supervisor is not None and agent.supervisor not in addresses:
            raise ConfigError(
                f"{path}: {agent.name}: supervisor {agent.supervisor} is no agent of this file"
            )
    return tuple(values)


def _load(path: Path, key: str, form: type[Any]) -> list[Any]:
    if not path.exists():
        return []
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as TOML: {error}") from error
    unknown = sorted(set(data) - {key})
    if unknown or not isinstance(data.get(key, []), list):
        raise ConfigError(f"{path}: {', '.join(unknown) or key}: expected only [[{key}]] tables")
    values = []
    for number, table in enumerate(data.get(key, []), start=1):
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: {key}: expected only [[{key}]] tables, found {table!r}")
        name = table.get("name", f"number {number}")
        try:
            values.append(form.model_validate(table).value())
        except ValidationError as error:
            lines = explain(form, error)
            raise ConfigError(
                "\n".join(f"{path}: [[{key}]] {name}: {line}" for line in lines)
            ) from error
        except ValueError as error:
            raise ConfigError(f"{path}: [[{key}]] {name}: {error}") from error
    return values


def _weekday(day: str) -> int:
    if day.lower() not in DAYS:
        raise ValueError(f"on_duty.{day}: expected one of {', '.join(DAYS)}")
    return DAYS.index(day.lower())


def _span(text: str) -> tuple[time, time]:
    found = re.fullmatch(r"\s*(\d{1,2}:\d\d)\s*-\s*(\d{1,2}:\d\d)\s*", text)
    try:
        if found is None:
            raise ValueError("no hours")
        span = time.fromisoformat(found[1].zfill(5)), time.fromisoformat(found[2].zfill(5))
    except ValueError as error:
        raise ValueError(
            f"on_duty: expected hours such as '09:00-18:00', found {text!r}"
        ) from error
    if span[0] >= span[1]:
        raise ValueError(f"on_duty: {text!r} ends before it begins")
    return span
