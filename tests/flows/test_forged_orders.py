"""500 forged orders: none is carried out. 100 genuine ones: all are."""

from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from mailflow.adapters.tables import Event, Inbound, OutboxMail, Ticket
from mailflow.services import process
from mailflow.services.agent_mail import handle_agent_mail
from tests.factories_desk import deliver
from tests.flows.conftest import OpenOffice
from tests.flows.forgeries import ORDERS, PASS, WRITERS, Forgery, Loot
from tests.flows.keys import FakeDns, sign
from tests.flows.office import ALICE, CLAIRE, MALLORY, OURS, TOM, Office, answer, write
from tests.flows.words import FULL_EN, FULL_FR

FORGED_BY_RESULTS = 400
FORGED_BY_SIGNATURE = 100
GENUINE = 50  # of each proof
SEED = 20260303
TOLD = ("agent_problem", ALICE.address)


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDns]:
    """A DNS with the keys of support.example and of a stranger."""
    fake = FakeDns()
    fake.publish("support.example", "ours")
    fake.publish("elsewhere.example", "theirs")
    fake.publish("example", "theirs")
    fake.publish("sub.support.example", "theirs")
    monkeypatch.setattr(process, "handle_agent_mail", partial(handle_agent_mail, find=fake))
    yield fake


def two_tickets(office: Office) -> Loot:
    """Open two tickets, both of Alice's; return what forgers might have of them."""
    registration, notice = office.receive(write(CLAIRE, "Export impossible", FULL_FR))
    office.receive(write(TOM, "Export", FULL_EN))
    with office.desk.database.begin() as session:
        session.get_one(Ticket, 2).agent = ALICE.address
    return Loot(notice, registration, office.last("registration"))


def state_of(office: Office) -> list[tuple[Any, ...]]:
    """All of the two tickets that orders could change, and their logs but for held mails."""
    with office.desk.database.read() as session:
        rows = session.scalars(select(Ticket).where(Ticket.id <= 2).order_by(Ticket.id)).all()
        columns = [c.name for c in Ticket.__table__.columns if c.name != "changed_at"]
        values = [tuple(str(getattr(row, name)) for name in columns) for row in rows]
        events = session.scalars(
            select(Event)
            .where(Event.ticket_id <= 2, Event.kind != "command_mail_held")
            .order_by(Event.id)
        )
        return values + [(event.id, event.kind, event.actor) for event in events]


def process_all(office: Office, mails: list[bytes]) -> list[Inbound]:
    """Process mails without sending what follows; return their rows."""
    ids = deliver(office.desk, *mails)
    assert len(set(ids)) == len(mails)
    while _unread(office):
        while process.process_due(office.desk):
            pass
        office.clock.advance(hours=1)  # a flood of one sender is held back for a while
    with office.desk.database.read() as session:
        return [session.get_one(Inbound, each) for each in ids]


def _unread(office: Office) -> bool:
    with office.desk.database.read() as session:
        return (
            session.scalar(select(Inbound.id).where(Inbound.status == "new").limit(1)) is not None
        )


def owed(office: Office, rows: list[Inbound]) -> dict[int, list[tuple[str, str]]]:
    """Return what each of `rows` made us owe: (kind, reader)."""
    found: dict[int, list[tuple[str, str]]] = {row.id: [] for row in rows}
    with office.desk.database.read() as session:
        for mail in session.scalars(select(OutboxMail)):
            cause = mail.once.partition("/")[0].removeprefix("in-")
            if cause.isdecimal() and int(cause) in found:
                found[int(cause)].append((mail.kind, mail.recipient))
                found[int(cause)] += [(mail.kind, copy) for copy in mail.cc]
    return found


def assert_none_executed(office: Office, forged: list[Forgery]) -> None:
    before = state_of(office)
    rows = process_all(office, [each.mail for each in forged])
    assert state_of(office) == before
    mails = owed(office, rows)
    agents = {agent.address for agent in office.desk.agents}
    for row, each in zip(rows, forged, strict=True):
        text = each.mail[:700].decode("utf-8", "replace")
        assert row.outcome in ("quarantined", "held", "ignored"), (row.outcome, row.reason, text)
        assert {reader for _, reader in mails[row.id]} <= agents, (mails[row.id], text)
        if each.claims:
            assert (row.outcome, mails[row.id]) == ("quarantined", [TOLD]), text


def test_forged_orders_are_not_carried_out(open_office: OpenOffice) -> None:
    office = open_office()
    loot = two_tickets(office)
    rng = Random(SEED)
    forged = [WRITERS[n % len(WRITERS)](rng, loot) for n in range(FORGED_BY_RESULTS)]
    assert_none_executed(office, forged)


def forge_signature(rng: Random, loot: Loot, number: int) -> Forgery:
    order = rng.choice(ORDERS)
    mail = answer(loot.notice, ALICE, order, auth=f"{OURS}; {PASS}")  # decides nothing here
    good = sign(mail, "support.example", "ours")
    match number % 10:
        case 0:
            forged = mail  # no signature
        case 1:
            forged = sign(mail, "elsewhere.example", "theirs")
        case 2:
            forged = sign(mail, "support.example", "theirs")  # not the published key
        case 3:
            forged = good.replace(order[:4].encode(), b"#wait\r\n" + order[:4].encode(), 1)
        case 4:
            forged = good.replace(b"Subject: Re:", b"Subject: Fwd:", 1)
        case 5:
            forged = sign(mail, "support.example", "ours", length=True) + b"\r\nmore\r\n"
        case 6:
            forged = sign(mail, "example", "theirs")  # a public suffix
        case 7:
            forged = sign(mail, "sub.support.example", "theirs")
        case 8:
            forged = good.replace(b"s=s1", b"s=s2", 1)
        case _:
            forged = f"From: {MALLORY.address}\r\n".encode() + good
    return Forgery(forged, claims=True)


def test_orders_with_forged_signatures_are_not_carried_out(
    open_office: OpenOffice, dns: FakeDns
) -> None:
    office = open_office(trust={"agent_proof": "dkim"})
    loot = two_tickets(office)
    rng = Random(SEED)
    forged = [forge_signature(rng, loot, n) for n in range(FORGED_BY_SIGNATURE)]
    assert_none_executed(office, forged)


def _proven_by_results(mail: bytes, rng: Random) -> bytes:
    value = rng.choice(
        [
            f"{OURS}; {PASS}",
            f"{OURS} 1; spf=pass smtp.mailfrom=support.example; {PASS}",
            f"{OURS.upper()}; dkim=pass (1024-bit key) header.d=support.example; {PASS}",
            f"{OURS};\r\n\tdkim=pass header.d=support.example;\r\n\tdmarc=pass (p=reject dis=none)"
            " header.from=support.example",
            f"{OURS}; DMARC=Pass action=none header.from=Support.Example",
            f"{OURS}; {PASS}\r\nAuthentication-Results: mx.elsewhere.example; dmarc=fail",
            f"{OURS}; {PASS}\r\nAuthentication-Results: {OURS}; spf=pass",
        ]
    )
    return f"Authentication-Results: {value}\r\n".encode() + mail


def _proven_by_signature(mail: bytes, rng: Random) -> bytes:
    signed = sign(mail, "support.example", "ours")
    return sign(signed, "elsewhere.example", "theirs") if rng.random() < 0.3 else signed


@pytest.mark.parametrize(
    "proof, prove",
    [("dmarc", _proven_by_results), ("dkim", _proven_by_signature)],
)
def test_genuine_orders_are_carried_out(
    open_office: OpenOffice, dns: FakeDns, proof: str, prove: Callable[[bytes, Random], bytes]
) -> None:
    office = open_office(trust={"agent_proof": proof})
    loot = two_tickets(office)
    rng = Random(SEED)
    mails = []
    for number in range(GENUINE):
        order = [f"#note n{number}", f"#priority {number % 4 // 2 + 2} reason {number}"][number % 2]
        mail = answer(loot.notice, ALICE, order, proven=False, quote=rng.random() < 0.5)
        plain = f"From: {ALICE.name} <{ALICE.address}>".encode()
        other = rng.choice(
            [
                plain,
                f"From: {ALICE.address}".encode(),
                b"From: =?utf-8?q?Alice_=C3=84gent?= <Alice@Support.Example>",
                b'From: "Agent, Alice" <alice@support.example>',
                plain + b"\r\nSender: assistant@elsewhere.example",
                plain + b"\r\nReply-To: alice@elsewhere.example",
            ]
        )
        mails.append(prove(mail.replace(plain, other), rng))
    rows = process_all(office, mails)
    assert [row.outcome for row in rows] == ["ordered"] * GENUINE, [row.reason for row in rows]
    assert not [row.reason for row in rows if "refused" in (row.reason or "")]
    events = office.events(1)
    notes = [event.data["text"] for event in events if event.kind == "note"]
    assert notes == [f"n{number}" for number in range(0, GENUINE, 2)]
    assert {event.actor for event in events if event.kind == "note"} == {ALICE.address}
    assert [
        mails for mails in owed(office, rows).values() if ("answer", CLAIRE.address) in mails
    ] == []
