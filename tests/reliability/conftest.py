"""Servers for the faults' tables, and the playing of one row."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailflow.adapters.database import open_database
from tests.factories_desk import MovableClock
from tests.reliability.faults import missing
from tests.reliability.faults_bench import open_bench
from tests.reliability.faults_certificates import FaultyCertificates, make_faulty_certificates
from tests.reliability.faults_drivers import Stepper
from tests.reliability.faults_postgresql import FaultyPostgreSQL
from tests.reliability.faults_quota import QuotaDovecot
from tests.reliability.faults_rows import Check
from tests.reliability.faults_table import Fault, complaints_of, play
from tests.servers.boxes import Box
from tests.servers.certificates import Certificates
from tests.servers.dovecot import find_dovecot
from tests.servers.postgresql import MISSING, find_postgresql


@pytest.fixture(scope="session")
def faulty_certificates(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> FaultyCertificates:
    return make_faulty_certificates(tmp_path_factory.mktemp("faulty"), certificates)


@pytest.fixture(scope="session")
def faulty_postgresql() -> Iterator[FaultyPostgreSQL]:
    """A server whose databases are copies of a migrated one."""
    programs = find_postgresql()
    assert programs is not None, MISSING
    with FaultyPostgreSQL(programs) as server:
        url = server.new_database()
        open_database(url).close()
        server.use_as_template(url)
        yield server


@pytest.fixture
def quota_box(certificates: Certificates) -> Iterator[Box]:
    with QuotaDovecot(certificates) as server:
        yield server.add_box()


@pytest.fixture
def fault_box(request: pytest.FixtureRequest) -> Box:
    """A mailbox on Dovecot, or on pymap where there is none."""
    found: Box = request.getfixturevalue("dovecot_box" if find_dovecot() else "pymap_box")
    return found


@pytest.fixture
def play_stepwise(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    migrated_database: Path,
    fault_box: Box,
    faulty_certificates: FaultyCertificates,
) -> Check:
    """Play a row with clocks that move only between turns; return what was not as promised."""

    def check(fault: Fault) -> tuple[str, ...]:
        lack = missing(fault)
        if lack is not None:
            pytest.skip(lack)
        random.seed(fault.name)  # jitter, the same each time
        box = request.getfixturevalue("quota_box") if fault.setting == "quota" else fault_box
        server = None
        if fault.setting == "postgresql":
            server = request.getfixturevalue("faulty_postgresql")
        with open_bench(
            tmp_path,
            migrated_database,
            box,
            faulty_certificates,
            MovableClock(),
            setting=fault.setting,
            quick=fault.quick,
            postgresql=server,
        ) as bench:
            played = play(fault, bench, Stepper(bench, idles=fault.idles))
        return complaints_of(fault, played)

    return check
