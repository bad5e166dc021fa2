"""Fixtures for all tests: desks, real mail servers, a triager."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailflow.adapters.triager import Triager
from mailflow.demo.servers import EmbeddedImap, EmbeddedSmtp
from mailflow.desk import Desk
from tests.factories_desk import DeskFactory, MovableClock, make_migrated_database


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with the current schema, to copy."""
    return make_migrated_database(tmp_path_factory.mktemp("schema") / "mailflow.db")


@pytest.fixture(scope="session")
def triager() -> Triager:
    """The real triager, loaded once: it takes a second or two."""
    return Triager.load()


@pytest.fixture
def clock() -> MovableClock:
    """The clock of `desk`: `clock.advance(hours=2)`."""
    return MovableClock()


@pytest.fixture
def desk_factory(tmp_path: Path, migrated_database: Path) -> Iterator[DeskFactory]:
    """Open desks: `desk_factory(smtp={"port": 2525}, support={"unknown_sender": "accept"})`."""
    factory = DeskFactory(tmp_path, migrated_database)
    yield factory
    factory.close()


@pytest.fixture
def flow_desk_factory(
    tmp_path: Path, migrated_database: Path, triager: Triager
) -> Iterator[DeskFactory]:
    """Open desks that triage for real; the triager is shared."""
    factory = DeskFactory(tmp_path, migrated_database, triager)
    yield factory
    factory.close()


@pytest.fixture
def desk(desk_factory: DeskFactory, clock: MovableClock) -> Desk:
    """A desk on SQLite: 'Client SA' (client.example), two agents, a supervisor, in French first."""
    return desk_factory(clock=clock)


@pytest.fixture
def smtp_server() -> Iterator[EmbeddedSmtp]:
    """An SMTP server that keeps what it takes."""
    with EmbeddedSmtp() as server:
        yield server


@pytest.fixture(scope="session")
def pymap_server() -> Iterator[EmbeddedImap]:
    """A pymap server for the whole run; each test uses folders of its own."""
    with EmbeddedImap() as server:
        yield server


@pytest.fixture
def imap_server() -> Iterator[EmbeddedImap]:
    """A pymap server for one test alone, with an empty INBOX."""
    with EmbeddedImap() as server:
        yield server
