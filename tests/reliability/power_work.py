"""A day at a desk, told as steps that can be taken up again after a power cut.

The mailbox and the SMTP server stand on other machines: what they saw stays, whatever the desk's
disk forgets. The desk itself is mailflow's: its database, its intake, processing and outbox.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

from sqlalchemy import event

from mailflow.adapters.imap import Fetched
from mailflow.adapters.render import Renderer
from mailflow.adapters.triager import Triager
from mailflow.config import load_config
from mailflow.core.messages import Address
from mailflow.desk import Desk, open_desk
from mailflow.services.intake import poll
from mailflow.services.outbox import send_due
from mailflow.services.process import process_due
from mailflow.services.sweep import sweep
from tests.factories_desk import ORGANISATIONS, START, MovableClock, write_config
from tests.flows.office import ALICE, Sent, answer
from tests.reliability.harness import make_mails
from tests.reliability.power_record import Mark, Record, Step
from tests.services.life import FakeGateway

CLIENTS = """
[[organisation]]
name = "Everybody"
domains = ["brasserie-du-lac.example", "northwind-mills.example"]
"""
BATCH = 3  # mails that the mailbox hands over at once
ROUND = 4  # mails that arrive together
CHECKPOINT_PAGES = (
    60  # SQLite's own number is 1000: a short day would have no checkpoint on its way
)


@dataclass
class World:
    """What is seen outside of the desk's machine. `record` notes each change of it."""

    inbox: dict[int, bytes] = field(default_factory=dict)
    filed: dict[int, bytes] = field(default_factory=dict)
    taken: list[bytes] = field(default_factory=list)  # by the SMTP server
    now: datetime = START
    rounds: int = 0
    cuts: list[int] = field(default_factory=list)  # how many mails had been taken at each
    record: Record | None = None

    def after(self, steps: Sequence[Step]) -> "World":
        """Return the world at the end of `steps`, which began in this one."""
        world = replace(
            self,
            inbox=dict(self.inbox),
            filed=dict(self.filed),
            taken=list(self.taken),
            cuts=list(self.cuts),
            record=None,
        )
        for step in steps:
            if isinstance(step, Mark) and step.kind in ("arrived", "filed", "taken", "now"):
                getattr(world, f"note_{step.kind}")(step.value)
        return world

    def note_arrived(self, mails: Sequence[bytes]) -> None:
        """A round's mails came into the mailbox."""
        self._mark("arrived", mails)
        first = len(self.inbox) + len(self.filed) + 1
        self.inbox |= dict(enumerate(mails, first))
        self.rounds += 1

    def note_filed(self, uids: Sequence[int]) -> None:
        """Mails were moved away from the mailbox."""
        self._mark("filed", uids)
        self.filed |= {uid: self.inbox.pop(uid) for uid in uids if uid in self.inbox}

    def note_taken(self, content: bytes) -> None:
        """The SMTP server answered 250 to this mail."""
        self._mark("taken", content)
        self.taken.append(content)

    def note_now(self, now: datetime) -> None:
        """Time went by."""
        self._mark("now", now)
        self.now = now

    def _mark(self, kind: str, value: object) -> None:
        if self.record is not None:
            self.record.mark(kind, value)


class Mailbox:
    """The mailbox as intake sees it."""

    name = "support@imap.example:993"
    uidvalidity = 1
    is_open = True

    def __init__(self, world: World) -> None:
        self._world = world

    def select(self, folder: str, *, readonly: bool = False) -> None:
        """There is one folder only."""

    def uids(self, first: int = 1) -> list[int]:
        return [uid for uid in self._world.inbox if uid >= first]

    def fetch(self, uids: Sequence[int]) -> Iterator[list[Fetched]]:
        for start in range(0, len(uids), BATCH):
            batch = uids[start : start + BATCH]
            yield [Fetched(uid, (raw := self._world.inbox[uid]), len(raw)) for uid in batch]

    def file(self, uids: Sequence[int]) -> None:
        if uids:
            self._world.note_filed(list(uids))


class Gateway(FakeGateway):
    """The SMTP server: it takes everything, and the world knows."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def send(
        self, sender: str, recipients: Sequence[str], content: bytes, may_send: object = None
    ) -> str:
        self._world.note_taken(content)
        return super().send(sender, recipients, content)


@dataclass
class Day:
    """What happens at the desk: rounds of mails, then follow-ups, then a day goes by.

    `pragmas` are set on each connection after mailflow's own.
    """

    folder: Path
    triager: Triager
    renderer: Renderer
    mails: Sequence[bytes]
    pragmas: tuple[str, ...] = ()

    @property
    def rounds(self) -> list[Callable[[World], list[bytes]]]:
        """What arrives in each round, given what went out before."""
        starts = range(0, len(self.mails), ROUND)
        return [
            *(lambda _, first=start: list(self.mails[first : first + ROUND]) for start in starts),
            _follow_ups,
        ]

    def live(self, world: World) -> None:
        """Work from where `world` stands to the end of the day, with a restart in every round."""
        while True:
            self._turn(world)
            if world.rounds == len(self.rounds):
                break
            world.note_arrived(self.rounds[world.rounds](world))
        self._turn(world, sweeping=True)

    def _turn(self, world: World, *, sweeping: bool = False) -> None:
        """Start the desk, do all there is to do, and stop it."""
        now = world.now + timedelta(minutes=5)
        world.note_now(max(now, START + timedelta(days=1)) if sweeping else now)
        clock = MovableClock(world.now)
        desk = self.open(clock)
        try:
            poll(desk, Mailbox(world))  # type: ignore[arg-type]
            while process_due(desk):
                pass
            if sweeping:
                sweep(desk)
            while send_due(desk, Gateway(world)):  # type: ignore[arg-type]
                pass
        finally:
            desk.database.close()

    def open(self, clock: MovableClock | None = None) -> Desk:
        """Open the desk, its database made where there is none."""
        desk = open_desk(load_config(self.folder / "config.toml"), clock or MovableClock())
        desk.triager, desk.renderer = self.triager, self.renderer
        engine = desk.database.engine
        engine.dispose()
        event.listen(engine, "connect", self._set_pragmas)
        return desk

    def _set_pragmas(self, connection: sqlite3.Connection, _record: object) -> None:
        for pragma in (f"wal_autocheckpoint={CHECKPOINT_PAGES}", *self.pragmas):
            connection.execute(f"PRAGMA {pragma}").close()

    def elsewhere(self, folder: Path) -> "Day":
        """Return the same day at a desk in another folder, without a database yet."""
        shutil.rmtree(folder, ignore_errors=True)
        set_up(folder)
        return self.at(folder)

    def at(self, folder: Path) -> "Day":
        """Return the same day at a desk whose files are in `folder`."""
        return replace(self, folder=folder)


def make_day(folder: Path, triager: Triager, mails: int, pragmas: tuple[str, ...] = ()) -> Day:
    """Set up a desk in `folder` for a day on which so many mails come."""
    set_up(folder)
    return Day(folder, triager, Renderer(None, "Europe/Paris"), make_mails(mails), pragmas)


def set_up(folder: Path) -> None:
    """Write a desk's files, but no database."""
    write_config(
        folder, {"imap": {}, "limits": {"max_mails_per_sender_and_minute": 1000},
                 "support": {"max_automatic_mails_per_day": 1000}, "logging": {"level": "error"}},
    )  # fmt: skip
    (folder / "organisations.toml").write_text(ORGANISATIONS + CLIENTS, "utf-8")


def message_id(content: bytes) -> str:
    """Return the Message-ID of a mail that went out."""
    return str(message_from_bytes(content, policy=default)["Message-ID"])


def _follow_ups(world: World) -> list[bytes]:
    """The first client answers the registration, with files; an agent solves the ticket."""
    sent = [
        Sent((str(message_from_bytes(each, policy=default)["To"]),), each) for each in world.taken
    ]
    to_client = next(each for each in sent if "brasserie" in each.recipients[0])
    to_agent = next(each for each in sent if ALICE.address in each.recipients[0])
    client = Address("Camille", to_client.recipients[0].rpartition("<")[2].strip("<>"))
    files = [("screen.png", "image/png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 200)]
    ids = {"message_id": "<nonce900000@brasserie-du-lac.example>", "subject": "Re: nonce900000"}
    solved = {"message_id": "<nonce901000@support.example>", "subject": "Re: nonce901000"}
    return [
        answer(to_client, client, "Voici les fichiers.", files=files, **ids),  # type: ignore[arg-type]
        answer(to_agent, ALICE, "#solved\n\nC'est réparé.", **solved),  # type: ignore[arg-type]
    ]
