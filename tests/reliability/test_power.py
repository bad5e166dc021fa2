"""A power cut takes nothing that was committed; `python -m tests.reliability.power` has the long runs."""

import random
from pathlib import Path

import pytest

from mailflow.adapters.triager import Triager
from tests.reliability.power import cuts, finish, record_day, run
from tests.reliability.power_check import Findings, facts_of
from tests.reliability.power_record import Mark, Step
from tests.reliability.power_work import make_day


def is_filing(step: Step) -> bool:
    return isinstance(step, Mark) and step.kind == "filed"


@pytest.mark.slow
def test_a_power_cut_loses_nothing_and_doubles_nothing(tmp_path: Path, triager: Triager) -> None:
    """From the first start on an empty folder to the end of the day, at 60 instants."""
    day = make_day(tmp_path / "day", triager, 4)
    found = run(day, 60, seed=7, scratch=tmp_path, finish_each=15, again_each=4)
    assert (found.bad, found.examples) == (0, [])
    assert found.cuts == 61
    assert found.finished == 5  # the last of them after a second cut


@pytest.mark.slow
@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_the_check_sees_the_loss_where_commits_are_not_synced(
    tmp_path: Path, triager: Triager, synchronous: str
) -> None:
    """So the test above can fail: mailflow's own FULL is what it is about."""
    day = make_day(tmp_path / "day", triager, 4, pragmas=(f"synchronous={synchronous}",))
    found = run(day, 40, seed=7, scratch=tmp_path, finish_each=0)
    assert found.rows_lost > 0
    assert found.unfounded > 0


@pytest.mark.slow
def test_the_check_sees_the_mails_that_never_come_back(tmp_path: Path, triager: Triager) -> None:
    """Moved away on the server, forgotten on the disk: the end of the day tells."""
    day = make_day(tmp_path / "day", triager, 4, pragmas=("synchronous=OFF",))
    whole = record_day(day)
    at = next(n for n, each in enumerate(whole.record.steps, 1) if is_filing(each))
    found = Findings()
    (cut,) = cuts(whole, [at], random.Random(7), tmp_path / "cut", found)
    finish(whole, cut, facts_of(day.folder), found)
    assert found.mails_lost > 0
