"""The rows of the faults' tables as parameters of a test."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.reliability.faults_table import Fault

Check = Callable[[Fault], tuple[str, ...]]  # what was not as promised
NEEDS = {
    "postgresql": pytest.mark.postgresql,
    "quota": pytest.mark.dovecot,
    "starttls": pytest.mark.dovecot,
}


def rows(faults: Sequence[Fault]) -> list[Any]:
    """Every fault; one that shows a known mistake of mailflow must fail until that is mended."""
    found = []
    for fault in faults:
        marks = [NEEDS[fault.setting]] if fault.setting in NEEDS else []
        if fault.bug:
            marks.append(pytest.mark.xfail(strict=True, reason=fault.bug))
        found.append(pytest.param(fault, id=fault.name, marks=marks))
    return found
