"""Faults between mailflow and the mailbox. A mail that came by another way is answered meanwhile."""

from contextlib import suppress
from functools import partial
from typing import Any

from imapclient import IMAPClient

from tests.reliability.faults_bench import Bench
from tests.reliability.faults_quota import QUOTA_MAILS
from tests.reliability.faults_table import (
    Act,
    Fault,
    answers_others,
    decides,
    gives_nothing_up,
    has_struck,
    heal,
    imap,
    spoil,
    tells_the_truth,
)
from tests.reliability.faults_wire import Certificate, Cut, ImapRefusal, Latency, Refused, Silence
from tests.reliability.proxy import Make

OVERQUOTA = "[OVERQUOTA] Quota exceeded (mailbox for user is full)"
OTHERS_GO_ON = (has_struck, answers_others, gives_nothing_up, tells_the_truth)
ALL_GO_ON = (*OTHERS_GO_ON, decides)


def _with_another(act: Act) -> Act:
    def begin(bench: Bench) -> None:
        act(bench)
        bench.ingest()

    return begin


def _wire(name: str, make: Make, *, cut: bool = True, **more: Any) -> Fault:
    begin = _with_another(spoil(imap, make, cut=cut))
    return Fault(f"IMAP {name}", begin, heal, **{"holds": OTHERS_GO_ON, **more})


def _refusal(command: str, text: str, *, cut: bool = False, **more: Any) -> Fault:
    name = f"NO {text.split('] ', maxsplit=1)[0]}] at {command}"
    return _wire(name, partial(ImapRefusal, command, text), cut=cut, **more)


def _slow(bench: Bench) -> None:
    bench.imap.spoil(partial(Latency, bench.latency), standing=True)
    bench.ingest()


def _expired(bench: Bench) -> None:
    spoil(imap, partial(Certificate, bench.certificates.expired), cut=True)(bench)
    bench.ingest()


def _untrusted(bench: Bench) -> None:
    spoil(imap, partial(Certificate, bench.certificates.untrusted), cut=True)(bench)
    bench.ingest()


def _change_password(bench: Bench) -> None:
    """The server refuses what we send from now on."""
    file = bench.folder / "desk" / "password.txt"
    right = file.read_text()
    file.write_text("no longer right\n")
    bench.undo.callback(file.write_text, right)
    bench.imap.cut_all()


def _fill(bench: Bench) -> None:
    """Fill the mailbox up to its quota. New mails still come: not all servers refuse those."""
    with bench.box.session() as client:
        client.create_folder("Archive")
        with suppress(IMAPClient.Error):
            for _ in range(QUOTA_MAILS):
                client.append("Archive", b"Subject: ballast\r\n\r\n")
        bench.strikes += 1
    bench.ingest()


def _empty(bench: Bench) -> None:
    with bench.box.session() as client:
        client.delete_folder("Archive")


FAULTS = (
    Fault("IMAP latency", _slow, heal, ALL_GO_ON, lasts=20),
    _wire("reset at connecting", Refused),
    _wire("reset before the greeting", partial(Cut, "server", 0)),
    _wire("silence at connecting", Silence, quick=True, lasts=20),
    _wire("silence at FETCH", partial(Silence, b"UID FETCH"), quick=True, lasts=20),
    _wire(
        "silence in the midst of IDLE",
        partial(Silence, b"+ idling"),
        quick=True,
        idles=True,
        cut=False,
        lasts=20,
    ),
    *(
        _wire(
            f"cut {count} bytes into the mails",
            partial(Cut, "server", count, b"BODY.PEEK[]"),
            padding=20_000,
        )
        for count in (0, 1, 100, 5_000, 30_000)
    ),
    _wire("cut in a command", partial(Cut, "client", 8, b"FETCH")),
    _wire("cut before the reply to MOVE", partial(Cut, "server", 0, b"UID MOVE")),
    _wire("cut 40 bytes into the reply to MOVE", partial(Cut, "server", 40, b"UID MOVE")),
    _refusal("LOGIN", "[UNAVAILABLE] later", cut=True),
    _refusal("SELECT", "[SERVERBUG] broken"),
    _refusal("FETCH", "[SERVERBUG] broken"),
    _refusal("MOVE", OVERQUOTA, holds=ALL_GO_ON),
    Fault("IMAP mailbox full", _fill, _empty, ALL_GO_ON, setting="quota"),
    _wire("away for ten minutes", Refused, lasts=600),
    Fault("IMAP login refused", _change_password, heal, (gives_nothing_up, has_struck)),
    Fault("IMAP certificate expired", _expired, heal, OTHERS_GO_ON),
    Fault("IMAP certificate of an unknown authority", _untrusted, heal, OTHERS_GO_ON),
    _wire("TLS handshake cut", partial(Refused, 100)),
    _wire("STARTTLS handshake cut", partial(Cut, "server", 60, b"STARTTLS"), setting="starttls"),
)
