"""The clock jumps by an hour, at rest or while mails are being taken in and sent."""

from functools import partial

from tests.reliability.faults_bench import Bench
from tests.reliability.faults_table import (
    Act,
    Fault,
    Which,
    decides,
    gives_nothing_up,
    has_struck,
    heal,
    imap,
    smtp,
    spoil,
    tells_the_truth,
)
from tests.reliability.faults_wire import Call, SmtpReply, SwallowedReply

HOLDS = (has_struck, gives_nothing_up, tells_the_truth)


def _jump(bench: Bench, hours: int) -> None:
    bench.clock.advance(hours=hours)
    bench.strikes += 1


def _at(which: Which, since: bytes, hours: int) -> Act:
    """Jump when these bytes pass for the first time."""

    def begin(bench: Bench) -> None:
        left = iter((hours,))

        def jump() -> None:
            for each in left:
                _jump(bench, each)

        spoil(which, partial(Call, since, jump))(bench)

    return begin


def _wait(bench: Bench) -> None:
    """Mails are put off, and then the clock is put back."""
    spoil(smtp, partial(SmtpReply, "RCPT", "450 4.2.0 greylisted"))(bench)


def _put_back(bench: Bench) -> None:
    heal(bench)
    _jump(bench, -1)


def _both(name: str, hours: int) -> tuple[Fault, ...]:
    there, back = partial(_jump, hours=hours), partial(_jump, hours=-hours)
    return (
        Fault(f"clock jumps {name}", there, heal, (*HOLDS, decides)),
        Fault(f"clock jumps {name}, later back again", there, back, (*HOLDS, decides)),
        Fault(f"clock jumps {name} at FETCH", _at(imap, b"BODY.PEEK", hours), heal, HOLDS),
        Fault(
            f"clock jumps {name} at MOVE",
            _at(imap, b"UID MOVE", hours),
            heal,
            HOLDS,
        ),
        Fault(f"clock jumps {name} at MAIL", _at(smtp, b"MAIL FROM", hours), heal, HOLDS),
        Fault(f"clock jumps {name} at DATA", _at(smtp, b"DATA\r\n", hours), heal, HOLDS),
    )


FAULTS = (
    *_both("an hour ahead", 1),
    *_both("an hour back", -1),
    Fault("clock jumps an hour back while mails wait", _wait, _put_back, HOLDS),
    Fault(
        "clock jumps an hour back while the journal settles",
        spoil(smtp, SwallowedReply, cut=True),
        _put_back,
        HOLDS,
        setting="journal",
        lasts=10,
    ),
)
