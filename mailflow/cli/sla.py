"""`mailflow sla`: deadlines for programs (JSON Lines) and for a person."""

import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from babel.dates import format_datetime
from rich.console import Console
from rich.table import Table

from mailflow.adapters.policies import load_policies
from mailflow.adapters.policy_words import read_priority
from mailflow.config import load_config
from mailflow.core.calendar import as_utc
from mailflow.core.sla import Interval, Pause, SlaPolicy, due_at, explain

_KEYS = frozenset({"id", "priority", "registered_at", "pauses"})
_EXAMPLES = """Say when a ticket is due under the contract, and how that is reached.

[bold]For a person[/bold]

  mailflow sla --priority 2 --registered-at 2026-04-30T16:00+02:00

  mailflow sla -p P1 -r 2026-05-04T09:30+02:00 --pause 2026-05-04T10:00+02:00..2026-05-04T11:00+02:00

[bold]For a program[/bold], one JSON object a line in and out

  echo '{"id": 1, "priority": "P1", "registered_at": "2026-05-04T09:30:00+02:00", "pauses": []}' | mailflow sla --json

A pause is \\[start, end], or \\[start, null] while it lasts; "due_at" is null while an open pause
lies before the deadline. A line that cannot be answered gives "due_at": null with an "error",
and the exit code 1 at the end. No configuration is needed: the shipped rules apply.
"""  # noqa: E501 - commands to be copied stay on one line


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command("sla", help=_EXAMPLES)(sla)


def sla(
    as_json: Annotated[
        bool, typer.Option("--json", help="Read JSON Lines on standard input, write them too.")
    ] = False,
    priority: Annotated[
        str | None, typer.Option("--priority", "-p", help="P1 to P4, or 1 to 4.")
    ] = None,
    registered_at: Annotated[
        str | None, typer.Option("--registered-at", "-r", help="ISO 8601, with its offset.")
    ] = None,
    pause: Annotated[
        list[str] | None,
        typer.Option("--pause", help="START..END in ISO 8601, or START.. while it lasts."),
    ] = None,
    calendar: Annotated[
        str | None, typer.Option("--calendar", help="A calendar of sla.toml by its name.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Take the rules that it names.")
    ] = None,
    rules: Annotated[
        Path | None, typer.Option("--rules", help="Take sla.toml of this folder.")
    ] = None,
) -> None:
    """Answer a person or a program."""
    asked = priority is not None or registered_at is not None or pause
    if as_json and asked:
        raise typer.BadParameter("--json reads standard input; leave out the other options")
    if not as_json and (priority is None or registered_at is None):
        raise typer.BadParameter("give --priority and --registered-at, or --json")
    if rules is None and config is not None:
        rules = load_config(config).files.rules
    policy = load_policies(rules).sla_for(calendar)
    if as_json:
        raise typer.Exit(_answer_lines(policy))
    try:
        number = read_priority(priority)
        registered = _read_instant(registered_at)
        pauses = [_read_range(each) for each in pause or ()]
        _print_answer(policy, number, registered, pauses)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(_one_line(error)) from None


def _answer_lines(policy: SlaPolicy) -> int:
    """Answer standard input line by line, flushed; return the exit code."""
    failed = 0
    warned: set[str] = set()
    for number, raw in enumerate(sys.stdin.buffer, 1):
        if not raw.strip():
            continue
        request: dict[str, Any] = {}
        answer: dict[str, Any] = {"id": None, "due_at": None}
        try:
            request = _read_request(raw)
            answer["id"] = request.get("id")
            answer["due_at"] = _due(policy, request)
        except (ValueError, OverflowError, RecursionError) as error:
            failed += 1
            answer["error"] = _one_line(error)
            typer.echo(f"mailflow sla: line {number}: {answer['error']}", err=True)
        for note in _notes(request):
            if note not in warned:
                warned.add(note)
                typer.echo(f"mailflow sla: line {number}: {note}", err=True)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    return 1 if failed else 0


def _read_request(raw: bytes) -> dict[str, Any]:
    text = raw.decode("utf-8-sig")
    try:
        request = json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}; expected one object a line") from None
    if not isinstance(request, dict):
        raise ValueError(f"{text.strip()[:40]}: expected a JSON object with the keys {_keys()}")
    return request


def _due(policy: SlaPolicy, request: dict[str, Any]) -> str | None:
    for key in ("priority", "registered_at"):
        if request.get(key) is None:
            raise ValueError(f"{key!r} is missing; expected the keys {_keys()}")
    priority = read_priority(request["priority"])
    registered = _read_instant(request["registered_at"])
    due = due_at(policy, priority, registered, list(_read_pauses(request.get("pauses"))))
    return None if due is None else due.isoformat()


def _read_pauses(value: object) -> Iterator[Pause]:
    if value is None:
        return
    if not isinstance(value, list):
        raise ValueError(f"pauses {value!r}: expected a list of [start, end or null]")
    for each in value:
        if not isinstance(each, list) or len(each) != 2:
            raise ValueError(f"pause {each!r}: expected [start, end], or [start, null]")
        yield Pause(_read_instant(each[0]), None if each[1] is None else _read_instant(each[1]))


def _read_instant(value: object) -> datetime:
    """Return the instant in UTC. Raises ValueError for what is none, or has no offset."""
    try:
        moment = datetime.fromisoformat(value.strip().upper() if isinstance(value, str) else "")
    except ValueError:
        raise ValueError(
            f"{value!r}: expected an instant in ISO 8601 such as '2026-05-04T09:30:00+02:00'"
        ) from None
    return as_utc(moment)


def _read_range(text: str) -> Pause:
    start, separator, end = text.partition("..")
    if not separator:
        raise ValueError(f"pause {text!r}: expected START..END, or START.. while it lasts")
    return Pause(_read_instant(start), _read_instant(end) if end else None)


def _notes(request: dict[str, Any]) -> Iterator[str]:
    """Say what was read but has no effect, so that a mistake in it does not pass unseen."""
    for key in sorted(set(request) - _KEYS):
        yield f"the key {key!r} is not known and has no effect; the keys are {_keys()}"
    pauses = request.get("pauses")
    for each in pauses if isinstance(pauses, list) else ():
        try:
            start, end = (_read_instant(instant) for instant in each)
        except (TypeError, ValueError, OverflowError):
            continue
        if end < start:
            yield "a pause that ends before it starts is empty and has no effect"


def _print_answer(
    policy: SlaPolicy, priority: int, registered: datetime, pauses: list[Pause]
) -> None:
    zone = policy.calendar.zone
    due = due_at(policy, priority, registered, pauses)
    if due is None:
        typer.echo("No deadline for now: the pause that is still open lies before it.")
    else:
        typer.echo(f"Due {_words(due, policy)} ({zone.key}).")
        typer.echo(f"In UTC: {due.isoformat()}")
    target = policy.target(priority)
    length = target.duration / timedelta(hours=1)
    typer.echo(f"P{priority}: {length:g} h on the clock {target.clock}, policy {policy.version}")
    table = Table("from", "to", "counted", "why", title=None)
    for each in explain(policy, priority, registered, pauses):
        table.add_row(
            _words(each.start, policy),
            "still open" if each.end is None else _words(each.end, policy),
            _counted(each),
            each.reason,
        )
    Console(width=None if sys.stdout.isatty() else 130).print(table)


def _words(moment: datetime, policy: SlaPolicy) -> str:
    local = moment.astimezone(policy.calendar.zone)
    seconds = ":ss" if local.second or local.microsecond else ""
    text: str = format_datetime(local, f"EEEE d MMMM y 'at' HH:mm{seconds}", locale="en_GB")
    return text


def _counted(each: Interval) -> str:
    return str(each.end - each.start) if each.counted and each.end is not None else "-"


def _keys() -> str:
    return "id, priority, registered_at, pauses"


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _one_line(error: BaseException) -> str:
    if isinstance(error, OverflowError):
        return "no deadline can be reckoned so close to the years 1 and 9999; mend the instants"
    return " ".join(str(error).split()) or "nested too deeply; expected one plain object a line"
