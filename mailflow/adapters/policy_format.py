"""What may stand in `rules/sla.toml` and in a stored policy, and its way to values and back."""

from datetime import time, timedelta
from difflib import get_close_matches
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    model_validator,
)

from mailflow.adapters.policy_words import (
    duration_text,
    read_at,
    read_days,
    read_duration,
    read_priority,
    read_span,
    read_zone,
    span_texts,
)
from mailflow.core.calendar import WEEKDAYS, BusinessCalendar, Holidays, day_text
from mailflow.core.policy import Chase, Clock, Recipient, SlaPolicy, Stage, Target

Duration = Annotated[timedelta, BeforeValidator(read_duration)]
Priority = Annotated[int, BeforeValidator(read_priority)]
SpanPair = Annotated[tuple[time, time], BeforeValidator(read_span)]


class Form(BaseModel):
    """A table of the rules. Unknown keys are refused by name."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def known_keys_only(cls, value: object) -> object:
        """Refuse a key that nothing reads, so that a slip of the pen cannot pass unseen."""
        for key in value if isinstance(value, dict) else ():
            if key not in cls.model_fields:
                near = get_close_matches(str(key), cls.model_fields, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                known = ", ".join(cls.model_fields)
                raise ValueError(f"unknown key {key!r}, expected some of: {known}{hint}")
        return value


class TargetForm(Form):
    """How long a priority may take, and on which clock."""

    time: Duration
    clock: Clock


class HoursForm(Form):
    """Opening hours by weekday; a day left out is closed."""

    monday: tuple[SpanPair, ...] = ()
    tuesday: tuple[SpanPair, ...] = ()
    wednesday: tuple[SpanPair, ...] = ()
    thursday: tuple[SpanPair, ...] = ()
    friday: tuple[SpanPair, ...] = ()
    saturday: tuple[SpanPair, ...] = ()
    sunday: tuple[SpanPair, ...] = ()


class CalendarForm(Form):
    """One [calendar.NAME]."""

    zone: Annotated[str, BeforeValidator(read_zone)]
    holidays: str
    hours: HoursForm
    closed_days: dict[str, str] = Field(default_factory=dict)
    special_days: dict[str, tuple[SpanPair, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def days_are_days(self) -> Self:
        """Refuse keys that are no days."""
        for text in (*self.closed_days, *self.special_days):
            read_days(text)
        return self

    def calendar(self, holidays: Holidays) -> BusinessCalendar:
        """Return the calendar. Raises CalendarError for one that cannot work."""
        return BusinessCalendar(
            zone=ZoneInfo(self.zone),
            hours=tuple(getattr(self.hours, name.lower()) for name in WEEKDAYS),
            holidays=holidays,
            closed_days={
                day: reason for text, reason in self.closed_days.items() for day in read_days(text)
            },
            special_days={
                day: spans for text, spans in self.special_days.items() for day in read_days(text)
            },
        )


class StageForm(Form):
    """One [[reminders.PRIORITY]]."""

    name: str = Field(min_length=1)
    to: Recipient
    at: Annotated[float | timedelta, BeforeValidator(read_at)]
    open_hours_only: StrictBool = True


class ChaseForm(Form):
    """Reminders to a client."""

    reminders: StrictInt = Field(ge=0, le=20)
    working_days_between: StrictInt = Field(ge=1, le=60)
    closes: StrictBool

    def chase(self) -> Chase:
        """Return it as the core's value."""
        return Chase(self.reminders, self.working_days_between, self.closes)


class ClientsForm(Form):
    """[clients.…]."""

    missing_information: ChaseForm
    confirmation: ChaseForm


class PolicyForm(Form):
    """What the rules file and a stored policy share."""

    version: str = Field(min_length=1)
    reopening_grace: Duration
    priority_after_workaround: Priority
    send_before_closing: Duration
    targets: dict[Priority, TargetForm]
    reminders: dict[Priority, tuple[StageForm, ...]]
    progress: dict[Priority, Duration]
    clients: ClientsForm

    @model_validator(mode="after")
    def every_priority_has_a_target(self) -> Self:
        """The contract gives each of the four priorities a target."""
        missing = {1, 2, 3, 4} - set(self.targets)
        if missing:
            names = ", ".join(f"P{each}" for each in sorted(missing))
            raise ValueError(f"targets: {names} missing; add {{ time = …, clock = … }}")
        return self

    def policy(self, calendar: BusinessCalendar) -> SlaPolicy:
        """Return the policy on `calendar`."""
        return SlaPolicy(
            version=self.version,
            targets={key: Target(each.time, each.clock) for key, each in self.targets.items()},
            calendar=calendar,
            reminders={
                key: tuple(Stage(s.name, s.to, s.at, s.open_hours_only) for s in stages)
                for key, stages in self.reminders.items()
            },
            send_before_closing=self.send_before_closing,
            missing_information=self.clients.missing_information.chase(),
            confirmation=self.clients.confirmation.chase(),
            progress_every=self.progress,
            priority_after_workaround=self.priority_after_workaround,
            reopening_grace=self.reopening_grace,
        )


class RulesForm(PolicyForm):
    """The whole of `sla.toml`."""

    calendar: dict[str, CalendarForm]


class SnapshotForm(PolicyForm):
    """A stored policy: one calendar, and holidays by year and month-day."""

    calendar: CalendarForm
    kept_holidays: dict[str, dict[str, str]]


def policy_form(policy: SlaPolicy) -> dict[str, Any]:
    """Return the policy in the shape of `PolicyForm` with its calendar, ready for JSON."""
    calendar = policy.calendar
    return {
        "version": policy.version,
        "reopening_grace": duration_text(policy.reopening_grace),
        "priority_after_workaround": policy.priority_after_workaround,
        "send_before_closing": duration_text(policy.send_before_closing),
        "targets": {
            f"P{key}": {"time": duration_text(each.duration), "clock": each.clock.value}
            for key, each in policy.targets.items()
        },
        "reminders": {
            f"P{key}": [_stage_form(each) for each in stages]
            for key, stages in policy.reminders.items()
        },
        "progress": {f"P{key}": duration_text(d) for key, d in policy.progress_every.items()},
        "clients": {
            "missing_information": _chase_form(policy.missing_information),
            "confirmation": _chase_form(policy.confirmation),
        },
        "calendar": {
            "zone": calendar.zone.key,
            "holidays": calendar.holidays.rule,
            "hours": {
                name.lower(): span_texts(spans)
                for name, spans in zip(WEEKDAYS, calendar.hours, strict=True)
            },
            "closed_days": {day_text(day): text for day, text in calendar.closed_days.items()},
            "special_days": {
                day_text(day): span_texts(spans) for day, spans in calendar.special_days.items()
            },
        },
    }


def readable_errors(error: ValidationError) -> str:
    """Return what is wrong, key by key, in one line each."""
    lines = []
    for each in error.errors(include_url=False):
        key = ".".join(str(part) for part in each["loc"] if part != "[key]")
        if each["type"] == "missing":
            text = "missing; add it"
        elif each["type"] == "value_error":
            text = each["msg"].removeprefix("Value error, ")
        else:
            text = f"{each['input']!r}: {each['msg'].replace('Input should be', 'expected')}"
        lines.append(f"{key}: {text}" if key else text)
    return "\n  ".join(lines)


def _stage_form(stage: Stage) -> dict[str, Any]:
    at = duration_text(stage.at) if isinstance(stage.at, timedelta) else stage.at
    return {
        "name": stage.name,
        "to": stage.to.value,
        "at": at,
        "open_hours_only": stage.open_hours_only,
    }


def _chase_form(chase: Chase) -> dict[str, Any]:
    return {
        "reminders": chase.count,
        "working_days_between": chase.every,
        "closes": chase.closes,
    }
