"""What a check found: one row of the table that `mailflow check` prints."""

from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from enum import StrEnum

from mailflow.errors import MailflowError


class Result(StrEnum):
    """How a check ended."""

    HOLDS = "holds"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Row:
    """One finding. `mend` says in words what to do about it; empty where nothing is to be done."""

    check: str
    result: Result
    found: str
    mend: str = ""


def holds(check: str, found: str) -> Row:
    """All is well."""
    return Row(check, Result.HOLDS, found)


def warns(check: str, found: str, mend: str) -> Row:
    """It works, but the operator should know."""
    return Row(check, Result.WARNING, found, mend)


def fails(check: str, found: str, mend: str) -> Row:
    """It does not work."""
    return Row(check, Result.FAILED, found, mend)


def skips(check: str, why: str) -> Row:
    """It was not looked at."""
    return Row(check, Result.SKIPPED, why)


def guarded(check: str, look: Callable[[], Iterable[Row]], mend: str) -> Iterator[Row]:
    """Yield the rows of `look`; what it raises becomes a row, so that the other checks go on.

    Errors of mailflow bring their own mend; `mend` is for those that nobody foresaw.
    """
    try:
        yield from look()
    except MailflowError as error:
        found, _, advice = str(error).partition("; ")
        yield fails(check, found, advice or mend)
    except Exception as error:
        yield fails(check, f"{type(error).__name__}: {error}", mend)


def count(things: Sized, noun: str) -> str:
    """Return '1 agent', '2 agents'."""
    number = len(things)
    return f"{number} {noun}{'' if number == 1 else 's'}"
