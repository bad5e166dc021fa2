"""A short run with several workers; `python -m tests.reliability.workers` has the long ones."""

import pytest

from tests.reliability.test_crashes import run


@pytest.mark.slow
@pytest.mark.postgresql
def test_workers_that_are_stopped_and_cut_off_lose_nothing_and_double_nothing() -> None:
    run("--workers", "3", "--mails", "60", "--stops", "6", "--terminations", "20", "--lease", "1.5",
        "--claim", "3", harness="workers")  # fmt: skip
