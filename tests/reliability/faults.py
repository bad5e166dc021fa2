"""Put every fault between a running daemon and its servers, and print what came of it.

    python -m tests.reliability.faults                    every fault, for 20 s each
    python -m tests.reliability.faults --only 451         those with this in their name
    python -m tests.reliability.faults --long             the faults of ten minutes, too

The daemon runs as in production: real clocks, the default time limits, Dovecot where there is one
(else pymap), SQLite or PostgreSQL. Each fault has servers of its own and strikes while mails are
being handled. `tests/reliability/test_faults.py` plays the same table with clocks that it moves.
"""

import argparse
import functools
import multiprocessing
import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from mailflow.adapters.database import open_database
from mailflow.demo.servers import USER, EmbeddedImap
from tests.factories_desk import make_migrated_database
from tests.reliability import faults_clock, faults_database, faults_imap, faults_smtp
from tests.reliability.faults_bench import LiveClock, open_bench
from tests.reliability.faults_certificates import make_faulty_certificates
from tests.reliability.faults_drivers import Live
from tests.reliability.faults_postgresql import FaultyPostgreSQL
from tests.reliability.faults_quota import QuotaDovecot, has_quota
from tests.reliability.faults_table import Fault, Played, complaints_of, play
from tests.servers.boxes import Box
from tests.servers.certificates import Certificates, make_certificates
from tests.servers.dovecot import Dovecot, find_dovecot
from tests.servers.postgresql import find_postgresql

FAULTS = (*faults_smtp.FAULTS, *faults_imap.FAULTS, *faults_database.FAULTS, *faults_clock.FAULTS)
LASTS = 20.0  # seconds
SILENCE_LASTS = 45.0  # longer than the default time limit of 30 s
LONG = 600.0
ROW = "{:58} {:>9} {:>5} {:>7} {:>8} {:>13}  {}"


@dataclass(frozen=True)
class Result:
    """What is printed of one fault; `problem` where it could not be played."""

    name: str
    played: Played | None
    bad: tuple[str, ...]
    problem: str = ""


def missing(fault: Fault) -> str | None:
    """Return what this machine lacks for a fault, or None."""
    if fault.setting == "postgresql" and find_postgresql() is None:
        return "PostgreSQL is not installed"
    if fault.setting == "starttls" and find_dovecot() is None:
        return "Dovecot is not installed"
    if fault.setting == "quota" and not has_quota():
        return "Dovecot's quota plugin is not installed"
    if fault.setting == "small disk" and os.geteuid() != 0:
        return "mounting a small disk needs root"
    return None


def run(number: int, folder: Path, lasts: float) -> Result:
    """Play one fault with real clocks, on servers of its own."""
    fault = FAULTS[number]
    lasts = max(lasts, SILENCE_LASTS) if fault.quick else lasts
    lasts = LONG if fault.lasts >= LONG else lasts
    try:
        with ExitStack() as stack:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
            (place / "tls").mkdir()
            made = make_certificates(place / "tls")
            bench = stack.enter_context(
                open_bench(
                    place,
                    folder / "migrated.db",
                    _start_box(stack, made, fault),
                    make_faulty_certificates(place / "faulty", made),
                    LiveClock(),
                    setting=fault.setting,
                    postgresql=_start_postgresql(stack) if fault.setting == "postgresql" else None,
                )
            )
            with Live(bench) as driver:
                played = play(fault, bench, driver, lasts)
            if driver.failure is not None:
                return Result(fault.name, played, (), f"the daemon ended: {driver.failure!r}")
            return Result(fault.name, played, complaints_of(fault, played))
    except Exception as error:  # one row that cannot be played must not hide the others
        return Result(fault.name, None, (), f"{type(error).__name__}: {error}")


def _start_box(stack: ExitStack, made: Certificates, fault: Fault) -> Box:
    if fault.setting == "quota":
        return stack.enter_context(QuotaDovecot(made)).add_box()
    if find_dovecot() is None:
        port = stack.enter_context(EmbeddedImap()).port
        box = Box(port, USER, "Support", "Processed", "pymap")
    else:
        server = stack.enter_context(Dovecot(made))
        box = Box(server.port, server.add_user(), "Support", "Processed", "dovecot")
    with box.session() as client:
        client.create_folder(box.folder)
    return box


def _start_postgresql(stack: ExitStack) -> FaultyPostgreSQL:
    programs = find_postgresql()
    assert programs is not None
    server = stack.enter_context(FaultyPostgreSQL(programs))
    url = server.new_database()
    open_database(url).close()
    server.use_as_template(url)
    return server


def _hush() -> None:
    """The daemons' logs would tear the table apart."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)


def print_result(result: Result, bug: str) -> bool:
    """Print one row; return whether all was as it must be, or as is known of it."""
    if result.played is None:
        print(ROW.format(result.name, "-", "-", "-", "-", "-", result.problem), flush=True)
        return False
    account = result.played.account
    told = [result.problem] if result.problem else list(result.bad)
    if bug and told:
        told = [f"known: {bug}"]
    notes = [f"{account.refused} refused for good"] if account.refused else []
    notes += [f"{account.unsure} given up unsure"] if account.unsure else []
    print(
        ROW.format(
            result.name,
            f"{result.played.seconds:.1f} s",
            len(account.lost),
            len(account.doubled),
            account.flagged,
            len(account.wrong),
            "; ".join(notes + told),
        ),
        flush=True,
    )
    return bool(bug) or not told


def main() -> int:
    """Play what the options ask for; return 0 if every promise held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", default="", help="faults with this in their name")
    parser.add_argument("--lasts", type=float, default=LASTS, help="seconds that a fault lasts")
    parser.add_argument("--jobs", type=int, default=4, help="faults at the same time")
    parser.add_argument("--long", action="store_true", help="those of ten minutes, too")
    given = parser.parse_args()
    wanted = []
    for number, fault in enumerate(FAULTS):
        lack = missing(fault)
        if given.only not in fault.name or (fault.lasts >= LONG and not given.long):
            continue
        if lack is not None:
            print(f"{fault.name}: left out, {lack}")
            continue
        wanted.append(number)
    bugs = {fault.name: fault.bug for fault in FAULTS}
    print(ROW.format("fault", "recovered", "lost", "doubled", "flagged", "sent_at wrong", ""))
    with tempfile.TemporaryDirectory(prefix="mailflow-faults-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        make_migrated_database(folder / "migrated.db")
        play_one = functools.partial(run, folder=folder, lasts=given.lasts)
        forking = multiprocessing.get_context("fork")
        with forking.Pool(given.jobs, initializer=_hush, maxtasksperchild=1) as pool:
            good = [
                print_result(result, bugs[result.name]) for result in pool.imap(play_one, wanted)
            ]
    print(f"{len(good)} faults played, {good.count(False)} not as promised")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
