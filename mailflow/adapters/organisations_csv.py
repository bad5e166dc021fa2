"""Read organisations from a CSV file; every mistake is named by line and column."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mailflow.adapters.directory import OrganisationForm
from mailflow.core.organisations import Organisation
from mailflow.errors import MailflowError

TARGETS = ("target_1", "target_2", "target_3", "target_4")
LISTS = ("domains", "addresses")
PLAIN = ("name", "language", "contract_start", "contract_end", "calendar")
COLUMNS = ("name", *LISTS, *PLAIN[1:], *TARGETS)
LARGEST_FILE = 10_000_000  # bytes


class RowsError(MailflowError):
    """The file has mistakes, one a line; nothing of it is used."""


@dataclass(frozen=True, slots=True)
class Row:
    """An organisation as a line of the file gives it. `keys`: what the file has a column for."""

    line: int
    organisation: Organisation
    keys: frozenset[str]


def read_rows(path: Path) -> tuple[Row, ...]:
    """Read a CSV file in UTF-8, its cells parted by commas, semicolons or tabs.

    Several domains or addresses in a cell are parted by spaces, commas, semicolons or bars.
    Raises RowsError that names the line and column of every mistake.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise RowsError(f"{path}: is larger than {LARGEST_FILE:,} bytes: is it the right file?")
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise RowsError(f"{path}: cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise RowsError(f"{path}: is not UTF-8; save it as 'CSV UTF-8'") from error
    reader = csv.reader(text.splitlines(keepends=True), delimiter=_delimiter(text), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        _check_header(path, header)
        rows: list[Row] = []
        mistakes: list[str] = []
        end = reader.line_num
        for cells in reader:
            line, end = end + 1, reader.line_num
            if any(cell.strip() for cell in cells):
                _read_row(path, line, header, cells, rows, mistakes)
    except csv.Error as error:
        raise RowsError(f"{path}: line {reader.line_num}: {error}") from error
    if mistakes:
        raise RowsError("\n".join(mistakes))
    if not rows:
        raise RowsError(f"{path}: has no line below the column names")
    return tuple(rows)


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)


def _check_header(path: Path, header: list[str]) -> None:
    known = ", ".join(COLUMNS)
    for name in header:
        if name not in COLUMNS:
            raise RowsError(f"{path}: line 1: unknown column {name!r}; expected some of: {known}")
        if header.count(name) > 1:
            raise RowsError(f"{path}: line 1: column {name!r} stands there twice")
    if "name" not in header:
        raise RowsError(f"{path}: line 1: there is no column 'name'; expected some of: {known}")


def _read_row(
    path: Path,
    line: int,
    header: list[str],
    cells: list[str],
    rows: list[Row],
    mistakes: list[str],
) -> None:
    if len(cells) != len(header):
        mistakes.append(f"{path}: line {line}: {len(cells)} cells, expected {len(header)}")
        return
    values = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    table: dict[str, Any] = {name: values[name] for name in PLAIN if values.get(name)}
    for name in LISTS:
        table[name] = [each for each in re.split(r"[\s,;|]+", values.get(name, "")) if each]
    table["targets"] = {name[-1]: values[name] for name in TARGETS if values.get(name)}
    try:
        form = OrganisationForm.model_validate(table)
    except ValidationError as error:
        for mistake in error.errors():
            column, *rest = (str(part) for part in mistake["loc"])
            message = mistake["msg"].removeprefix("Value error, ")
            found = repr(values.get(column, "")) if not rest else repr(mistake["input"])
            mistakes.append(f"{path}: line {line}, column {column}: {message}, found {found}")
        return
    try:
        organisation = form.value()
    except ValueError as error:
        mistakes.append(f"{path}: line {line}, column contract_end: {error}")
        return
    same = next((row for row in rows if row.organisation.name == organisation.name), None)
    if same is not None:
        mistakes.append(
            f"{path}: line {line}, column name: {organisation.name!r} is in line {same.line} too"
        )
        return
    keys = {"targets" if name in TARGETS else name for name in header}
    rows.append(Row(line, organisation, frozenset(keys)))
