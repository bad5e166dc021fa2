"""Each fault of the tables, played with clocks that the tests move."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailflow.adapters.database import open_database
from tests.factories_desk import MovableClock
from tests.reliability.faults import FAULTS, missing
from tests.reliability.faults_bench import open_bench
from tests.reliability.faults_certificates import FaultyCertificates, make_faulty_certificates
from tests.reliability.faults_drivers import Stepper
from tests.reliability.faults_postgresql import FaultyPostgreSQL
from tests.reliability.faults_quota import QuotaDovecot
from tests.reliability.faults_table import Fault, complaints_of, play
from tests.servers.boxes import Box
from tests.servers.certificates import Certificates
from tests.servers.dovecot import find_dovecot
from tests.servers.postgresql import MISSING, find_postgresql

TOP = Path(__file__).resolve().parents[2]


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


NEEDS = {
    "postgresql": pytest.mark.postgresql,
    "quota": pytest.mark.dovecot,
    "starttls": pytest.mark.dovecot,
}


def rows() -> list[Any]:
    """Every fault; one that shows a known mistake of mailflow must fail until that is mended."""
    found = []
    for fault in FAULTS:
        marks = [NEEDS[fault.setting]] if fault.setting in NEEDS else []
        if fault.bug:
            marks.append(pytest.mark.xfail(strict=True, reason=fault.bug))
        found.append(pytest.param(fault, id=fault.name, marks=marks))
    return found


# CPython leaves a socket open where the reset comes before the handshake begins
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.parametrize("fault", rows())
def test_a_fault_loses_and_doubles_nothing(
    fault: Fault,
    tmp_path: Path,
    migrated_database: Path,
    fault_box: Box,
    faulty_certificates: FaultyCertificates,
    request: pytest.FixtureRequest,
) -> None:
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
    assert complaints_of(fault, played) == ()


@pytest.mark.slow
def test_the_command_plays_a_fault_for_real() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.reliability.faults",
            "--only",
            "SMTP latency",
            "--lasts",
            "1",
        ],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(TOP)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SMTP latency" in done.stdout
    assert "1 faults played, 0 not as promised" in done.stdout
