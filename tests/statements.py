"""What a desk asks its database: each distinct statement, how often, how long, by which plan."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event

_LISTS = re.compile(
    r"\((?:\?|%\([a-z0-9_]+\)s(?:::[A-Z ]+)?)(?:, (?:\?|%\([a-z0-9_]+\)s(?:::[A-Z ]+)?))+\)"
)
LARGE_TABLES = frozenset(
    {
        "ticket",
        "ticket_person",
        "inbound",
        "raw_mail",
        "mailbox_entry",
        "event",
        "outbox_mail",
        "reminder",
    }
)
_CHANGES = ("INSERT", "UPDATE", "DELETE", "SELECT", "WITH")


@dataclass(slots=True)
class Statement:
    """One text of SQL: how often it ran, its seconds in all, and the parameters of its last run."""

    text: str
    parameters: Any
    count: int = 0
    seconds: float = 0.0

    @property
    def milliseconds(self) -> float:
        """Of one run, on average."""
        return 1000 * self.seconds / self.count

    @property
    def short(self) -> str:
        """Its text without the columns that it returns."""
        text = " ".join(self.text.split())
        start = text.find(" FROM ") + 1
        return text[start : start + 260] if text.startswith("SELECT") else text[:260]


class Recorder:
    """Listens to an engine while `is_on`; lists of another length are the same statement."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.is_on = False
        self.statements: dict[str, Statement] = {}
        event.listen(engine, "before_cursor_execute", self._before)
        event.listen(engine, "after_cursor_execute", self._after)

    def _before(self, _connection: Any, _cursor: Any, _text: str, _parameters: Any,
                context: Any, _many: bool) -> None:  # fmt: skip
        context.begun_at = time.perf_counter()

    def _after(self, _connection: Any, _cursor: Any, text: str, parameters: Any,
               context: Any, many: bool) -> None:  # fmt: skip
        if not self.is_on or not text.startswith(_CHANGES):
            return
        seconds = time.perf_counter() - context.begun_at
        key = _LISTS.sub("(…)", text)
        known = self.statements.setdefault(key, Statement(text, parameters))
        is_list = many and isinstance(parameters, list)
        known.text, known.parameters = text, parameters[0] if is_list else parameters
        known.count += 1
        known.seconds += seconds

    def scans(self, tables: frozenset[str]) -> Iterator[tuple[Statement, str]]:
        """Yield the statements whose plan reads one of `tables` from end to end, and that plan."""
        is_sqlite = self._engine.dialect.name == "sqlite"
        with self._engine.connect() as connection:
            for statement in self.statements.values():
                if statement.text.startswith("INSERT"):
                    continue
                explain = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
                rows = connection.exec_driver_sql(explain + statement.text, statement.parameters)
                lines = [str(row[-1]).strip() for row in rows]
                pattern = r"^SCAN (\w+)" if is_sqlite else r"Seq Scan on (\w+)"
                found = [each for line in lines for each in re.findall(pattern, line)]
                if tables & set(found):
                    yield statement, "; ".join(lines)
            connection.rollback()

    def report_scans(self, tables: frozenset[str]) -> None:
        """Print the statements that read one of `tables` from end to end."""
        found = list(self.scans(tables))
        print(f"statements that read a large table from end to end: {len(found)}")
        for statement, plan in found:
            print(f"  {statement.milliseconds:8.2f} ms x {statement.count}: {statement.short}")
            print(f"             {plan}")

    def report_slowest(self, count: int = 8) -> None:
        """Print the statements that took longest in all."""
        print("statements that took longest in all:")
        slowest = sorted(self.statements.values(), key=lambda each: -each.seconds)
        for each in slowest[:count]:
            print(
                f"  {1000 * each.seconds:8.1f} ms: {each.milliseconds:.2f} ms x {each.count}: "
                f"{each.short}"
            )
