"""A desk in a folder of its own, with a clock that tests move."""

import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mailflow.adapters.database import open_database
from mailflow.adapters.store import Arrived
from mailflow.adapters.triager import Triager
from mailflow.config import load_config
from mailflow.demo.servers import PASSWORD, USER
from mailflow.desk import Desk, open_desk
from mailflow.services.intake import take_in

START = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)  # a Tuesday, 10:00 in Paris
CLOSED_PORT = 1  # nobody listens there: for desks that are not meant to connect

ORGANISATIONS = """\
[[organisation]]
name = "Client SA"
domains = ["client.example"]
contract_start = 2020-01-01
"""

AGENTS = """\
[[agent]]
name = "Alice Agent"
address = "alice@support.example"
languages = ["fr", "en"]
supervisor = "sylvie@support.example"

[[agent]]
name = "Bob Agent"
address = "bob@support.example"
languages = ["en", "fr"]

[[agent]]
name = "Sylvie Supervisor"
address = "sylvie@support.example"
languages = ["fr"]
role = "supervisor"
"""

Sections = Mapping[str, Mapping[str, Any]]


class MovableClock:
    """The instant that counts as now: it moves only when a test says so."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> datetime:
        """Move on by `span`, as `timedelta` takes it; return the new now."""
        self.now += timedelta(**span)
        return self.now


def write_config(folder: Path, sections: Sections | None = None) -> Path:
    """Write config.toml, organisations.toml, agents.toml and a password file into `folder`.

    `sections` adds keys or replaces them: {"imap": {"port": 1143}}. A value of None leaves the
    key out. Without "imap" the desk reads no mailbox.
    """
    folder.mkdir(parents=True, exist_ok=True)
    login = {"host": "127.0.0.1", "tls": "none"}
    secret = {"username": USER, "password_file": "password.txt"}
    config: dict[str, dict[str, Any]] = {
        "support": {
            "address": "support@support.example",
            "name": "Support",
            "default_language": "fr",
        },
        "smtp": {**login, "port": CLOSED_PORT, "timeout_seconds": 10},
        "database": {"url": "sqlite:///mailflow.db"},
        "files": {},
        "trust": {"authserv_id": "mx.support.example"},
        "logging": {"format": "json"},
    }
    if sections and "imap" in sections:
        config["imap"] = {**login, **secret, "port": CLOSED_PORT, "timeout_seconds": 10}
    for name, keys in (sections or {}).items():
        config.setdefault(name, {}).update(keys)
    lines = []
    for name, keys in config.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_toml(value)}" for key, value in keys.items() if value is not None]
    path = folder / "config.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "organisations.toml").write_text(ORGANISATIONS, "utf-8")
    (folder / "agents.toml").write_text(AGENTS, "utf-8")
    (folder / "password.txt").write_text(PASSWORD + "\n", "utf-8")
    return path


def _toml(value: Any) -> str:
    """TOML and JSON write strings, numbers, booleans and lists alike."""
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


class DeskFactory:
    """Open desks below one folder; `close` closes their databases.

    The schema is copied from a database that was migrated once: migrations have tests of their own.
    """

    def __init__(self, folder: Path, migrated: Path, triager: Triager | None = None) -> None:
        self._folder = folder
        self._migrated = migrated
        self._triager = triager
        self._opened: list[Desk] = []

    def config(self, name: str = "desk", **sections: Mapping[str, Any]) -> Path:
        """Write a configuration with an empty database beside it; return its path."""
        path = write_config(self._folder / name, sections)
        database = path.parent / "mailflow.db"
        if not database.exists():
            shutil.copy(self._migrated, database)
        return path

    def __call__(
        self, name: str = "desk", clock: MovableClock | None = None, **sections: Mapping[str, Any]
    ) -> Desk:
        """Open the desk `name`: the same name again is another worker on the same database."""
        desk = open_desk(load_config(self.config(name, **sections)), clock or MovableClock())
        if self._triager is not None:
            desk.triager = self._triager  # a cached property: set here, it is not loaded again
        self._opened.append(desk)
        return desk

    def close(self) -> None:
        """Close all databases."""
        for desk in self._opened:
            desk.database.close()


def make_migrated_database(path: Path) -> Path:
    """Make an empty database with the current schema."""
    open_database(f"sqlite:///{path}").close()
    return path


def deliver(desk: Desk, *mails: bytes) -> Sequence[int]:
    """Store mails at the desk as `mailflow ingest` does; return their numbers."""
    return [each.inbound_id for each in take_in(desk, [Arrived(raw, "file") for raw in mails])]
