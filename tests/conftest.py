"""Fixtures for all tests: desks, real mail servers, a triager."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from mailflow.adapters.triager import Triager
from mailflow.demo.servers import PASSWORD, USER, EmbeddedImap, EmbeddedSmtp
from mailflow.desk import Desk
from tests.factories_desk import DeskFactory, MovableClock, make_migrated_database
from tests.servers import postgresql
from tests.servers.boxes import Box
from tests.servers.certificates import Certificates, make_certificates
from tests.servers.dovecot import MISSING, Dovecot, find_dovecot

_numbers = itertools.count(1)
os.environ["COLUMNS"] = "200"  # tables as on a wide terminal, wherever the tests run
settings.register_profile("patient", deadline=None)  # a busy machine is no bug
settings.load_profile("patient")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests that need a server are skipped where it is missing, but fail in CI."""
    for marker, found, missing in (
        ("dovecot", find_dovecot, MISSING),
        ("postgresql", postgresql.find_postgresql, postgresql.MISSING),
    ):
        if item.get_closest_marker(marker) is not None and found() is None:
            if os.environ.get("CI", "").lower() == "true":
                pytest.fail(missing, pytrace=False)
            pytest.skip(missing)


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


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority of this test run, and a server certificate for the name 'localhost'."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def dovecot(certificates: Certificates) -> Iterator[Dovecot]:
    """A real Dovecot for the whole run; each test adds a user of its own."""
    with Dovecot(certificates) as server:
        yield server


@pytest.fixture
def password_file(tmp_path: Path) -> str:
    """A file with the password of the test servers."""
    path = tmp_path / "password.txt"
    path.write_text(PASSWORD + "\n", "utf-8")
    return str(path)


@pytest.fixture
def pymap_box(pymap_server: EmbeddedImap) -> Box:
    """Two folders of the pymap server."""
    number = next(_numbers)
    box = Box(pymap_server.port, USER, f"Support{number}", f"Processed{number}", "pymap")
    with box.session() as client:
        client.create_folder(box.folder)
    return box


@pytest.fixture
def dovecot_box(dovecot: Dovecot) -> Box:
    """Two folders of a new Dovecot user."""
    box = Box(dovecot.port, dovecot.add_user(), "Support", "Processed", "dovecot")
    with box.session() as client:
        client.create_folder(box.folder)
    return box


@pytest.fixture(params=["pymap", pytest.param("dovecot", marks=pytest.mark.dovecot)])
def box(request: pytest.FixtureRequest) -> Box:
    """A mailbox, on each of the two IMAP servers in turn."""
    found: Box = request.getfixturevalue(f"{request.param}_box")
    return found
