"""Played tickets as models: what of their rows stays and what is new in each copy."""

import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import MetaData
from stories import Part

CONTENT = "Message-ID: {message_id}\nTo: {recipient}\nSubject: {kind}\n\n…\n"  # of mails we sent
COPIED = (
    "ticket",
    "ticket_person",
    "inbound",
    "raw_mail",
    "mailbox_entry",
    "event",
    "outbox_mail",
    "reminder",
    "correction",
)
NUMBERED = tuple(name for name in COPIED if name not in ("ticket_person", "raw_mail"))
_REFERS = {"ticket_id": "ticket", "inbound_id": "inbound"}
_CAUSES = {
    "in": "inbound",
    "reminder": "reminder",
    "registered": "ticket",
    "event": "event",
    "cli": "ticket",
}
_CAUSE = rf"\b(?:{'|'.join(_CAUSES)})-\d+"  # as in the outbox's `once`
_INSTANT = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00)?"
_MAIL_OF = r'(?<="attachments_of": )\d+'

Row = list[Any]
Ids = dict[str, int]  # by table: the id that the copy's first row gets
Rows = dict[str, list[Row]]


@dataclass(slots=True)
class Copy:
    """What is new in one copy: the first ids of each table, and its words in order."""

    ids: Ids
    words: list[str]


Make = Callable[[Copy], Any]


class Model:
    """A played ticket, ready to be copied.

    `words` are the texts that each copy has others for: the client's address, name and
    organisation, the reference, then `identity` and Message-ID of each mail that came in, then the
    Message-ID of each mail that went out.
    """

    def __init__(self, database: sqlite3.Connection, part: Part, schema: MetaData) -> None:
        self.part = part
        self._columns = {name: schema.tables[name].columns.keys() for name in COPIED}
        self.rows = {name: self._read(database, name) for name in COPIED}
        self._position = {
            name: {row[0]: number for number, row in enumerate(self.rows[name])}
            for name in NUMBERED
        }
        (self.reference,) = self.values("ticket", "reference")
        (self.state,) = self.values("ticket", "state")
        self.words = (
            part.client,
            part.name,
            part.organisation,
            self.reference or "\0",
            *self.values("inbound", "identity"),
            *self.values("inbound", "message_id"),
            *self.values("outbox_mail", "message_id"),
        )
        self._places = {text: place for place, text in enumerate(self.words)}
        escaped = sorted(map(re.escape, self.words), key=len, reverse=True)
        self._pattern = re.compile("|".join([*escaped, _MAIL_OF, _CAUSE, _INSTANT]))

    def values(self, table: str, column: str) -> list[Any]:
        """Return a column of the model's rows in `table`."""
        place = self._columns[table].index(column)
        return [row[place] for row in self.rows[table]]

    def _read(self, database: sqlite3.Connection, name: str) -> list[Row]:
        columns = self._columns[name]
        key = "id" if name == "ticket" else "ticket_id"
        where = f"{key} = ?"
        if key not in columns:
            where = "inbound_id IN (SELECT id FROM inbound WHERE ticket_id = ?)"
        listed = ", ".join(f'"{each}"' for each in columns)
        query = f"SELECT {listed} FROM {name} WHERE {where} ORDER BY 1"  # noqa: S608
        rows = [list(row) for row in database.execute(query, (self.part.ticket_id,))]
        if name == "outbox_mail":
            for row in rows:
                values = dict(zip(columns, row, strict=True))
                row[columns.index("content")] = CONTENT.format(**values).encode()
        return rows

    def dated(self, shift: timedelta) -> "DatedModel":
        """Return the model with all its instants moved by `shift`."""
        made = []
        for name in COPIED:
            for number, row in enumerate(self.rows[name]):
                fixed = list(row)
                makers = []
                for place, column in enumerate(self._columns[name]):
                    if fixed[place] is None:
                        continue
                    fixed[place], maker = self._cut(name, column, number, fixed[place], shift)
                    if maker is not None:
                        makers.append((place, maker))
                made.append((name, fixed, makers))
        return DatedModel(self, (self.part.start + shift).year, made)

    def _cut(
        self, table: str, column: str, number: int, value: Any, shift: timedelta
    ) -> tuple[Any, Make | None]:
        """Return what stays of a value, and how to make it new where a copy has another one."""
        if column == "id":
            return value, _id(table, number)
        if column == "uid":
            return value, _id("inbound", number)
        if column in _REFERS:
            return value, _id(_REFERS[column], self._position[_REFERS[column]][value])
        if isinstance(value, bytes):
            text, maker = self._cut_text(value.decode(), shift)
            return text.encode(), maker and (lambda copy: maker(copy).encode())
        return self._cut_text(value, shift) if isinstance(value, str) else (value, None)

    def _cut_text(self, text: str, shift: timedelta) -> tuple[str, Make | None]:
        fixed = [""]
        makers: list[Make] = []
        end = 0
        for found in self._pattern.finditer(text):
            prefix, maker = self._piece(found[0], shift)
            fixed[-1] += text[end : found.start()] + prefix
            end = found.end()
            if maker is not None:
                makers.append(maker)
                fixed.append("")
        fixed[-1] += text[end:]
        return (text, _joined(fixed, makers)) if makers else (fixed[0], None)

    def _piece(self, found: str, shift: timedelta) -> tuple[str, Make | None]:
        """Return what stands for `found`: a fixed text, then a text of the copy's own."""
        if found in self._places:
            place = self._places[found]
            return "", lambda copy: copy.words[place]
        if found.isdecimal():
            return "", _id_text("inbound", self._position["inbound"][int(found)])
        cause, _, number = found.partition("-")
        if cause in _CAUSES:
            table = _CAUSES[cause]
            return f"{cause}-", _id_text(table, self._position[table].get(int(number), 0))
        return _moved(found, shift), None


@dataclass(slots=True)
class DatedModel:
    """A model at one moment, from which copies are made."""

    model: Model
    year: int
    rows: list[tuple[str, Row, list[tuple[int, Make]]]]

    def copy(self, copy: Copy, into: Rows) -> None:
        """Append the rows of one copy to the tables' rows."""
        for name, fixed, makers in self.rows:
            row = fixed.copy()
            for place, make in makers:
                row[place] = make(copy)
            into[name].append(row)


def _id(table: str, number: int) -> Make:
    return lambda copy: copy.ids[table] + number


def _id_text(table: str, number: int) -> Make:
    return lambda copy: str(copy.ids[table] + number)


def _joined(fixed: Sequence[str], makers: Sequence[Make]) -> Make:
    if len(makers) == 1:
        (before, after), maker = fixed, makers[0]
        return lambda copy: before + maker(copy) + after

    def join(copy: Copy) -> str:
        pieces = [fixed[0]]
        for maker, text in zip(makers, fixed[1:], strict=True):
            pieces += (maker(copy), text)
        return "".join(pieces)

    return join


def _moved(text: str, shift: timedelta) -> str:
    moved = datetime.fromisoformat(text) + shift
    return moved.isoformat() if "T" in text else moved.strftime("%Y-%m-%d %H:%M:%S.%f")
