"""Merge organisations from a CSV file into `organisations.toml`, a backup beside it."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import Any

from mailflow.adapters.directory import load_organisations
from mailflow.adapters.organisations_csv import Row, RowsError
from mailflow.adapters.policies import Policies
from mailflow.core.organisations import Organisation
from mailflow.errors import ConfigError
from mailflow.services.set_up import toml_text

HEAD = """\
# Who has a contract. A sender belongs to an organisation by full address first, then by mail
# domain; a domain covers its subdomains. A domain or address stands in one organisation only.
"""


@dataclass(frozen=True, slots=True)
class Merge:
    """What an import makes of the organisations: all of them, and what is new in them."""

    organisations: tuple[Organisation, ...]
    added: tuple[str, ...]
    changed: tuple[tuple[str, tuple[str, ...]], ...]  # the name, and which keys change
    unchanged: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.added and not self.changed


def merge(
    source: Path, rows: Sequence[Row], standing: Sequence[Organisation], policies: Policies
) -> Merge:
    """Merge `rows` into the organisations that stand already, by name.

    A column that the file has not leaves what stands; an empty cell empties it. An organisation
    that is not in the file stays as it is. Raises RowsError naming each line that cannot be.
    """
    merged = {each.name: each for each in standing}
    added, unchanged = [], []
    changed: list[tuple[str, tuple[str, ...]]] = []
    for row in rows:
        name = row.organisation.name
        old = merged.get(name)
        if old is None:
            merged[name] = row.organisation
            added.append(name)
            continue
        given = {key: getattr(row.organisation, key) for key in row.keys}
        new = replace(old, **given)
        differ = tuple(
            field.name
            for field in fields(Organisation)
            if getattr(old, field.name) != getattr(new, field.name)
        )
        merged[name] = new
        if differ:
            changed.append((name, differ))
        else:
            unchanged.append(name)
    mistakes = [*_check_each(source, rows, merged, policies), *_check_twice(source, rows, merged)]
    if mistakes:
        raise RowsError("\n".join(mistakes))
    return Merge(tuple(merged.values()), tuple(added), tuple(changed), tuple(unchanged))


def _check_each(
    source: Path, rows: Sequence[Row], merged: dict[str, Organisation], policies: Policies
) -> Iterable[str]:
    for row in rows:
        new = merged[row.organisation.name]
        if new.contract_start and new.contract_end and new.contract_end < new.contract_start:
            yield f"{source}: line {row.line}, column contract_end: lies before contract_start"
        if not new.domains and not new.addresses:
            yield (
                f"{source}: line {row.line}, column domains: neither a domain nor an address: "
                "no sender would belong to it"
            )
        try:
            policies.sla_for(new.calendar)
        except ConfigError as error:
            yield f"{source}: line {row.line}, column calendar: {error}"
            continue
        for priority, target in new.targets.items():
            try:
                policies.sla_for(new.calendar, {priority: target})
            except ConfigError as error:
                yield f"{source}: line {row.line}, column target_{priority}: {error}"


def _check_twice(
    source: Path, rows: Sequence[Row], merged: dict[str, Organisation]
) -> Iterable[str]:
    """A sender can belong to one organisation only."""
    lines = {row.organisation.name: row.line for row in rows}
    seen: dict[str, str] = {}
    for each in merged.values():
        for column, keys in (("domains", each.domains), ("addresses", each.addresses)):
            for key in keys:
                other = seen.setdefault(key, each.name)
                if other != each.name:
                    line = lines.get(each.name) or lines.get(other)
                    yield (
                        f"{source}: line {line}, column {column}: "
                        f"{key} would stand in {other!r} and in {each.name!r}"
                    )


def write(path: Path, found: Merge) -> Path | None:
    """Write the organisations; return the backup of the file that stood there, if one did.

    New ones are added below what stands, comments and all; where one changes the file is written
    anew, and its comments stay in the backup. The file is read back before it takes its place.
    """
    old = path.read_text("utf-8") if path.exists() else ""
    by_name = {each.name: each for each in found.organisations}
    if found.changed or not old.strip():
        text = HEAD + "".join(table_text(each) for each in found.organisations)
    else:
        text = old.rstrip("\n") + "\n" + "".join(table_text(by_name[name]) for name in found.added)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".new")
    new = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if load_organisations(new) != found.organisations:
            raise ConfigError(f"{path}: was not written: it would not read back the same")
        backup = None
        if path.exists():
            shutil.copymode(path, new)
            backup = _free_name(path)
            shutil.copy2(path, backup)
        else:
            new.chmod(0o644)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return backup


def _free_name(path: Path) -> Path:
    number = 1
    while (found := path.with_name(f"{path.name}.bak{number}")).exists():
        number += 1
    return found


def table_text(organisation: Organisation) -> str:
    """Return an organisation as a TOML table, every text escaped."""
    lines = ["", "[[organisation]]"]
    for field in fields(Organisation):
        value = getattr(organisation, field.name)
        if value:
            lines.append(f"{field.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_text(each) for each in value) + "]"
    if isinstance(value, str):
        return toml_text(value)
    return "{ " + ", ".join(f"{key} = {toml_text(each)}" for key, each in value.items()) + " }"
