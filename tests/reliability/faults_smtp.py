"""Faults between mailflow and the SMTP server."""

from dataclasses import replace
from functools import partial
from typing import Any

from tests.reliability.faults_bench import Bench
from tests.reliability.faults_table import (
    Fault,
    decides,
    first,
    gives_nothing_up,
    has_struck,
    heal,
    sends_nothing,
    smtp,
    spoil,
    tells_the_truth,
)
from tests.reliability.faults_wire import (
    Certificate,
    Cut,
    Latency,
    Refused,
    Silence,
    SmtpReply,
    SwallowedReply,
)
from tests.reliability.proxy import Make

BEFORE_LOGIN = ("greeting", "EHLO", "AUTH")
TEMPORARY = {
    "greeting": "421 4.3.2 busy",
    "EHLO": "421 4.3.2 busy",
    "AUTH": "454 4.7.0 later",
    "MAIL": "451 4.3.0 later",
    "RCPT": "450 4.2.0 greylisted",
    "DATA": "451 4.3.0 later",
    ".": "452 4.3.1 no room",
}
SERVER_REFUSES = {  # for good, but it is the operator's matter: no mail may end by it
    "greeting": "554 5.3.2 no service here",
    "EHLO": "550 5.7.1 no",
    "AUTH": "535 5.7.8 wrong password",
    "MAIL": "550 5.7.1 sender refused",
}
MAIL_REFUSED = {  # for good, and it is this mail's matter
    "RCPT": "550 5.1.1 no such user",
    "DATA": "554 5.6.0 no",
    ".": "554 5.7.1 taken for spam",
}
CLIENTS = "@client.example"
TOGETHER = (has_struck, decides, tells_the_truth)
BROKEN_OFF = (*TOGETHER, sends_nothing, gives_nothing_up)
AND_ON = (*TOGETHER, gives_nothing_up)


def _wire(name: str, make: Make, *, cut: bool = True, **more: Any) -> Fault:
    return Fault(f"SMTP {name}", spoil(smtp, make, cut=cut), heal, **{"holds": BROKEN_OFF, **more})


def _reply(verb: str, reply: str, *, to: str = "", **more: Any) -> Fault:
    where = "the final dot" if verb == "." else verb
    name = f"{reply[:3]} at {where}{' to clients' if to else ''}"
    return _wire(name, partial(SmtpReply, verb, reply, to), cut=verb in BEFORE_LOGIN, **more)


def _slow(bench: Bench) -> None:
    bench.smtp.spoil(partial(Latency, bench.latency), standing=True)


def _expired(bench: Bench) -> None:
    spoil(smtp, partial(Certificate, bench.certificates.expired), cut=True)(bench)


def _untrusted(bench: Bench) -> None:
    spoil(smtp, partial(Certificate, bench.certificates.untrusted), cut=True)(bench)


FAULTS = (
    Fault("SMTP latency", _slow, heal, (*AND_ON,), lasts=20),
    _wire("reset at connecting", Refused),
    _wire("reset before the greeting", partial(Cut, "server", 0)),
    _wire("silence at connecting", Silence, quick=True, lasts=20),
    _wire("silence at MAIL", partial(Silence, b"MAIL FROM"), quick=True, lasts=20),
    _wire("silence at DATA", partial(Silence, b"DATA\r\n"), quick=True, lasts=20),
    *(_reply(verb, reply) for verb, reply in TEMPORARY.items()),
    *(_reply(verb, reply) for verb, reply in SERVER_REFUSES.items()),
    *(
        _reply(verb, reply, to=CLIENTS, holds=TOGETHER, refused=3)
        for verb, reply in MAIL_REFUSED.items()
    ),
    _reply("RCPT", MAIL_REFUSED["RCPT"], holds=TOGETHER, refused=3),
    _wire("away for ten minutes", Refused, lasts=600),
    *(
        replace(_reply(verb, TEMPORARY[verb], lasts=600), name=f"SMTP {reply} for ten minutes")
        for verb, reply in (("MAIL", "451 at MAIL"), ("RCPT", "450 at RCPT"))
    ),
    *(
        _wire(
            f"cut {count} bytes into the content",
            partial(Cut, "client", count, b"DATA\r\n"),
            holds=(*TOGETHER, sends_nothing),
            unsure=3,
        )
        for count in (0, 1, 300, 1500)
    ),
    *(
        _wire(f"cut {count} bytes into the reply to {verb}", partial(Cut, "server", count, since))
        for verb, since, count in (
            ("RCPT", b"RCPT TO", 0),
            ("RCPT", b"RCPT TO", 5),
            ("DATA", b"DATA\r\n", 0),
        )
    ),
    *(
        _wire(
            f"cut {count} bytes into the reply to the final dot",
            first(1, partial(Cut, "server", count, b"\r\n.\r\n")),
            holds=AND_ON,
            repeats=1,
        )
        for count in (2, 3, 5)
    ),
    _wire("reply to the final dot lost once", first(1, SwallowedReply), holds=AND_ON, repeats=1),
    _wire(
        "reply to the final dot lost once, in silence",
        first(1, partial(SwallowedReply, silent=True)),
        holds=AND_ON,
        repeats=1,
        quick=True,
    ),
    _wire(
        "reply to the final dot lost always",
        SwallowedReply,
        holds=TOGETHER,
        repeats=6,
        unsure=3,
    ),
    _wire(
        "reply to the final dot lost always, with a journal",
        SwallowedReply,
        holds=AND_ON,
        setting="journal",
    ),
    Fault("SMTP certificate expired", _expired, heal, BROKEN_OFF),
    Fault("SMTP certificate of an unknown authority", _untrusted, heal, BROKEN_OFF),
    _wire("TLS handshake cut", partial(Refused, 100)),
    _wire("STARTTLS handshake cut", partial(Cut, "server", 60, b"STARTTLS"), setting="starttls"),
)
