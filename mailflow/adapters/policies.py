"""Load `rules/sla.toml` into an `SlaPolicy`, and keep a policy as JSON with a ticket.

The JSON is a full snapshot: public holidays of the years that matter are written out, so that
neither an edit of the rules nor a newer `holidays` library moves a deadline already told.
"""

import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import holidays
from pydantic import ValidationError

from mailflow.adapters.policy_format import (
    CalendarForm,
    RulesForm,
    SnapshotForm,
    policy_form,
    readable_errors,
)
from mailflow.adapters.policy_words import read_priority, read_target
from mailflow.core.calendar import BusinessCalendar, CalendarError, Holidays
from mailflow.core.policy import SlaPolicy
from mailflow.data import find_data_file
from mailflow.errors import ConfigError

FILE = "sla.toml"
DEFAULT_CALENDAR = "default"
KEPT_YEARS = range(2020, 2051)
"""The years whose public holidays a snapshot writes out; the library answers for others."""


@dataclass(frozen=True, slots=True)
class Policies:
    """The rules as loaded. `calendars` holds 'default' and those that organisations name."""

    file: Path
    base: SlaPolicy
    calendars: Mapping[str, BusinessCalendar]
    _made: dict[tuple[Any, ...], SlaPolicy] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )  # most organisations share one

    def sla_for(
        self,
        organisation_calendar: str | None = None,
        target_overrides: Mapping[int, str] | Mapping[str, str] | None = None,
    ) -> SlaPolicy:
        """Return the policy with an organisation's calendar and targets in place.

        An override is a duration, the clock staying as it is, or both: '8h business_hours'.
        Raises ConfigError for a calendar that is not there or a target that cannot be.
        """
        name = organisation_calendar or DEFAULT_CALENDAR
        wanted = (name, *sorted((str(key), text) for key, text in (target_overrides or {}).items()))
        if wanted not in self._made:
            self._made[wanted] = self._make(name, target_overrides or {})
        return self._made[wanted]

    def _make(
        self, name: str, target_overrides: Mapping[int, str] | Mapping[str, str]
    ) -> SlaPolicy:
        if name not in self.calendars:
            known = ", ".join(sorted(self.calendars))
            raise ConfigError(
                f"{self.file}: calendar {name!r} is not there, expected one of: {known}; "
                f"add [calendar.{name}] or mend the name in the organisation"
            )
        targets = dict(self.base.targets)
        for key, text in target_overrides.items():
            try:
                priority = read_priority(key)
                targets[priority] = read_target(text, self.base.target(priority).clock)
            except ValueError as error:
                raise ConfigError(f"{self.file}: target {key!r}: {error}") from None
        policy = replace(self.base, targets=targets, calendar=self.calendars[name])
        _check_stages(self.file, policy)
        return _with_hash(policy)


def load_policies(rules_folder: Path | None = None) -> Policies:
    """Read `sla.toml` from the rules folder, or the shipped one where it has none.

    Raises ConfigError naming file, key, what was expected and how to mend it.
    """
    file = find_data_file("rules", FILE, rules_folder)
    if file is None:
        raise ConfigError(f"{rules_folder}: no {FILE} there, and none came with mailflow")
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read as TOML: {error}") from error
    try:
        form = RulesForm.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{file}: {readable_errors(error)}") from None
    if DEFAULT_CALENDAR not in form.calendar:
        raise ConfigError(f"{file}: calendar: expected a table [calendar.{DEFAULT_CALENDAR}]")
    calendars = {
        name: _calendar(f"{file}: calendar.{name}", each) for name, each in form.calendar.items()
    }
    base = form.policy(calendars[DEFAULT_CALENDAR])
    _check_stages(file, base)
    return Policies(file, base, calendars)


def to_json(policy: SlaPolicy) -> str:
    """Return the policy as JSON text: all that its deadlines depend on, holidays included."""
    return json.dumps(_snapshot(policy), ensure_ascii=False, sort_keys=True)


def from_json(text: str) -> SlaPolicy:
    """Return the policy that `to_json` wrote. Raises ConfigError if the text is not one."""
    try:
        form = SnapshotForm.model_validate_json(text)
    except ValidationError as error:
        raise ConfigError(f"stored policy: {readable_errors(error)}") from None
    kept = {
        date(int(year), int(day[:2]), int(day[3:])): name
        for year, days in form.kept_holidays.items()
        for day, name in days.items()
    }
    years = frozenset(int(year) for year in form.kept_holidays)
    return form.policy(_calendar("stored policy: calendar", form.calendar, kept, years))


@cache
def find_holidays(rule: str) -> Callable[[date], str | None]:
    """Return a function from a date to its public holiday's name, or None.

    `rule` is a country, or country and subdivision: 'FR', 'FR-57'; '' has no holidays.
    Raises ValueError for one that the `holidays` library does not know.
    """
    if not rule:
        return lambda day: None
    country, _, subdivision = rule.partition("-")
    try:
        # Names in the country's own language, whatever the locale of the host.
        language = holidays.country_holidays(country).default_language
        days = holidays.country_holidays(country, subdiv=subdivision or None, language=language)
    except NotImplementedError:
        raise ValueError(
            f"holidays {rule!r} are not known: expected a country code such as FR, or one with "
            'a subdivision such as FR-57; "" is none'
        ) from None

    def name_of(day: date) -> str | None:
        name: str | None = days.get(day)
        return name

    return name_of


def _snapshot(policy: SlaPolicy) -> dict[str, Any]:
    form = policy_form(policy)
    form["kept_holidays"] = _kept_holidays(policy.calendar.holidays)
    return form


def _check_stages(file: Path, policy: SlaPolicy) -> None:
    """Refuse reminders out of order, named twice, or with more time left than the target."""
    for priority, stages in policy.reminders.items():
        duration = policy.target(priority).duration
        last, names = 0.0, set[str]()
        for stage in stages:
            place = f"{file}: reminders.P{priority}: {stage.name!r}"
            share = stage.at if isinstance(stage.at, float) else 1 - stage.at / duration
            if share <= 0:
                raise ConfigError(f"{place}: as much time left as the target of {duration}; less")
            if share < last:
                raise ConfigError(f"{place}: comes before the stage above it; order them by time")
            if stage.name in names:
                raise ConfigError(f"{place}: this name is taken; each stage needs its own")
            last = share
            names.add(stage.name)


def _kept_holidays(days: Holidays) -> dict[str, dict[str, str]]:
    if not days.rule:
        return {}
    kept: dict[str, dict[str, str]] = {}
    for year in KEPT_YEARS:
        first = date(year, 1, 1).toordinal()
        names = {}
        for number in range(first, date(year + 1, 1, 1).toordinal()):
            name = days.name_of(date.fromordinal(number))
            if name is not None:
                names[f"{date.fromordinal(number):%m-%d}"] = name
        kept[str(year)] = names
    return kept


def _with_hash(policy: SlaPolicy) -> SlaPolicy:
    """Return the policy with its version made of the operator's words and the content's hash.

    A newer `holidays` library makes a new version too: its dates may differ.
    """
    words = policy.version.partition("+")[0]
    content = policy_form(policy) | {"version": "", "library": version("holidays")}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return replace(policy, version=f"{words}+{digest[:12]}")


def _calendar(
    place: str,
    form: CalendarForm,
    kept: Mapping[date, str] | None = None,
    kept_years: frozenset[int] = frozenset(),
) -> BusinessCalendar:
    try:
        library = find_holidays(form.holidays)

        def name_of(day: date) -> str | None:
            return (kept or {}).get(day) if day.year in kept_years else library(day)

        return form.calendar(Holidays(form.holidays, name_of))
    except CalendarError as error:
        raise ConfigError(f"{place}: {error}") from None
    except ValueError as error:
        raise ConfigError(f"{place}.holidays: {error}") from None
