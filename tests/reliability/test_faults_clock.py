"""After the clock was put back nothing is tried without a pause, though its time lies ahead."""

import pytest
from sqlalchemy import func, select

from mailflow.adapters.smtp import SmtpGateway
from mailflow.adapters.tables import Inbound
from mailflow.desk import Desk
from mailflow.services import process
from mailflow.services.outbox import send_due
from mailflow.services.process import Pipeline
from tests.factories_desk import DeskFactory, MovableClock, deliver
from tests.factories_mail import make_mail
from tests.reliability.faults_bench import Certain
from tests.servers.scripted import ScriptedSmtp

LIMIT = 3
ROUNDS = 20  # more than a few mails need


def process_all(desk: Desk) -> int:
    """Process for some rounds; return how many mails are done with."""
    pipeline = Pipeline(desk)
    for _ in range(ROUNDS):
        pipeline.advance()
    pipeline.finish()
    with desk.database.read() as session:
        return session.scalar(select(func.count(Inbound.id)).where(Inbound.status == "done")) or 0


def open_certain(factory: DeskFactory, clock: MovableClock, port: int) -> Desk:
    limits = {"max_mails_per_sender_and_minute": LIMIT}
    desk = factory(clock=clock, smtp={"port": port}, limits=limits)
    desk.triager = Certain()  # type: ignore[assignment]
    return desk


@pytest.mark.parametrize("hours", [0, -1])
def test_a_flood_waits(desk_factory: DeskFactory, clock: MovableClock, hours: int) -> None:
    desk = open_certain(desk_factory, clock, 1)
    deliver(desk, *[make_mail() for _ in range(2 * LIMIT)])
    clock.advance(hours=hours)
    assert process_all(desk) == LIMIT


@pytest.mark.parametrize("hours", [0, -1])
def test_a_refused_mail_waits(desk_factory: DeskFactory, clock: MovableClock, hours: int) -> None:
    with ScriptedSmtp({"RCPT": "450 greylisted"}) as server:
        desk = open_certain(desk_factory, clock, server.port)
        deliver(desk, make_mail())
        assert process_all(desk) == 1
        clock.advance(hours=hours)
        with SmtpGateway(desk.config.smtp) as gateway:
            tries = [send_due(desk, gateway) for _ in range(3)]
    assert tries == [1, 0, 0]


def test_a_mail_put_off_after_an_error_does_not_wait_for_the_clock_to_catch_up(
    desk_factory: DeskFactory, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = open_certain(desk_factory, clock, 1)
    deliver(desk, make_mail())
    with monkeypatch.context() as broken:
        broken.setattr(process, "apply", lambda *_, **__: 1 / 0)
        assert process_all(desk) == 0
    clock.advance(hours=-1)
    assert process_all(desk) == 1
