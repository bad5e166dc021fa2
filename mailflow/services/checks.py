"""Everything that `mailflow check` looks at, one check after the other; none stops the others."""

import tomllib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError

from mailflow.config import load_config, with_absolute_paths
from mailflow.errors import ConfigError
from mailflow.services import check_directory, check_files, check_servers
from mailflow.services.check_rows import Row, fails, guarded, holds, skips
from mailflow.settings import Config

STAND_INS: dict[str, dict[str, Any]] = {
    "support": {"address": "support@support.example"},
    "smtp": {"host": "localhost"},
}
"""What stands for a section that is broken or missing, so that the others can be checked."""

UNFORESEEN = "this was not foreseen; please report it with the command and this line"


def run_checks(path: Path, now: datetime, *, offline: bool = False) -> Iterator[Row]:
    """Yield a row for each finding about the configuration at `path`, in the order of work.

    `offline` leaves out what needs the network. Raises nothing: a failure is a row.
    """
    broken: frozenset[str] = frozenset()
    try:
        config = load_config(path)
        yield holds("Configuration", str(path))
    except ConfigError as error:
        for line in str(error).splitlines():
            found, _, mend = line.removeprefix(f"{path}: ").partition("; ")
            yield fails("Configuration", found, mend or f"mend it in {path}")
        salvaged = _salvage(path)
        if salvaged is None:
            yield skips("The rest", "cannot be checked before the configuration can be read")
            return
        config, broken = salvaged
    for section, name, look in _checks(config, now, offline):
        if section in broken:
            yield skips(name, f"not checked: mend [{section}] first")
        else:
            yield from guarded(name, look, UNFORESEEN)


def _checks(
    config: Config, now: datetime, offline: bool
) -> list[tuple[str, str, Callable[[], Iterable[Row]]]]:
    """The section that each check depends on, its name, and the check."""
    today = now.astimezone(ZoneInfo(config.support.timezone)).date()
    local: list[tuple[str, str, Callable[[], Iterable[Row]]]] = [
        ("files", "Organisations", lambda: check_directory.check_organisations(config, today)),
        ("files", "Agents", lambda: check_directory.check_agents(config)),
        ("trust", "Agents' proof", lambda: check_files.check_trust(config)),
        ("", "Secrets", lambda: check_files.check_secrets(config, offline=offline)),
        ("files", "Folders", lambda: check_files.check_folders(config)),
        ("files", "SLA policy", lambda: check_files.check_sla(config)),
        ("files", "Triage rules", lambda: check_files.check_triage(config)),
        ("files", "Triage model", lambda: check_files.check_model(config)),
        ("files", "Templates", lambda: check_files.check_templates(config)),
    ]
    if offline and check_servers.is_remote(config.database.url):
        left_out = [skips("Database", "not tried: --offline")]
        local.append(("database", "Database", lambda: left_out))
    else:
        local.append(("database", "Database", lambda: check_servers.check_database(config, now)))
    if offline:
        local.append(("", "Mail servers", lambda: check_servers.skipped_servers(config)))
        return local
    return [
        *local,
        ("imap", "IMAP", lambda: check_servers.check_imap(config)),
        ("smtp", "SMTP", lambda: check_servers.check_smtp(config)),
        ("journal", "Journal", lambda: check_servers.check_journal(config)),
    ]


def _salvage(path: Path) -> tuple[Config, frozenset[str]] | None:
    """Return what is right in a configuration that is wrong, and the sections that are not.

    None where the file cannot be read at all.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    kept: dict[str, Any] = dict(STAND_INS)
    broken = {name for name in STAND_INS if name not in data}
    for name in Config.model_fields:
        if name not in data or name == "path":
            continue
        try:
            kept[name] = _validate(name, data[name])
        except ValidationError:
            broken.add(name)
    try:
        config = Config.model_validate({**kept, "path": path.resolve()})
    except ValidationError:
        return None
    return with_absolute_paths(config), frozenset(broken)


def _validate(name: str, value: Any) -> Any:
    """Return `value` if it is right for the section `name`. Raises ValidationError."""
    annotation: Any = Config.model_fields[name].annotation
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    model = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return model.model_validate(value)
