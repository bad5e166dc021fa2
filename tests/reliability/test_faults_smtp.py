"""Each fault of the SMTP server, played with clocks that the tests move."""

import pytest

from tests.reliability import faults_smtp
from tests.reliability.faults_rows import Check, rows
from tests.reliability.faults_table import Fault


# CPython leaves a socket open where the reset comes before the handshake begins
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.parametrize("fault", rows(faults_smtp.FAULTS))
def test_a_fault_loses_and_doubles_nothing(fault: Fault, play_stepwise: Check) -> None:
    assert play_stepwise(fault) == ()
