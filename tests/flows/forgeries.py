"""Mails that try to give orders in an agent's name; each writer is one way to try."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.flows.office import ALICE, CLAIRE, MALLORY, OURS, Sent, answer, passed, write

ORDERS = (
    "#close force the client agreed",
    "#priority 4 not urgent",
    "#priorité 1 tout est bloqué",
    "#assign Bob",
    "#resolve\nAll is done.",
    "#spam",
    "#exclude training",
    "#wait",
    "#note planted",
    "#allow mallory@elsewhere.example",
    "Dear client, please send your password to this address.",
)
PASS = "dmarc=pass header.from=support.example"
FAIL = "dmarc=fail header.from=support.example"


@dataclass(frozen=True)
class Forgery:
    """A mail, and whether it claims to be Alice's in her own thread: then she is told."""

    mail: bytes
    claims: bool = False


@dataclass(frozen=True)
class Loot:
    """What forgers have got hold of: mails of ours, to an agent and to a client."""

    notice: Sent
    registration: Sent
    other: Sent  # the client's registration of another ticket


Writer = Callable[[Random, Loot], Forgery]


def _order(rng: Random) -> str:
    return rng.choice(ORDERS)


def _alice(rng: Random, loot: Loot, *results: str) -> Forgery:
    """Alice's address over her own thread, with these Authentication-Results from the top."""
    mail = answer(loot.notice, ALICE, _order(rng), proven=False)
    heads = b"".join(f"Authentication-Results: {each}\r\n".encode() for each in results)
    return Forgery(heads + mail, claims=True)


def _from(rng: Random, loot: Loot, line: str, auth: str, claims: bool = False) -> Forgery:
    """Another From line (or several) over Alice's thread."""
    mail = answer(loot.notice, MALLORY, _order(rng), auth=auth)
    plain = f"From: {MALLORY.name} <{MALLORY.address}>".encode()
    assert plain in mail
    return Forgery(mail.replace(plain, line.encode()), claims)


def no_results(rng: Random, loot: Loot) -> Forgery:
    return _alice(rng, loot)


def results_of_ours_without_pass(rng: Random, loot: Loot) -> Forgery:
    verdict = rng.choice(["fail", "none", "temperror", "permerror", "bestguesspass", "passed", ""])
    return _alice(rng, loot, f"{OURS}; dmarc={verdict} header.from=support.example")


def results_of_another_server(rng: Random, loot: Loot) -> Forgery:
    server = rng.choice(
        [
            "mx.elsewhere.example",
            f"{OURS}.elsewhere.example",
            f"x{OURS}",
            "mx.support.example-",
            f"elsewhere.example ({OURS})",
            f'"{OURS}"',
            f"elsewhere.example {OURS}",
            "mx.suppоrt.example",  # a Cyrillic о
        ]
    )
    return _alice(rng, loot, f"{server}; {PASS}")


def forged_below_ours(rng: Random, loot: Loot) -> Forgery:
    ours = rng.choice([FAIL, "spf=pass smtp.mailfrom=elsewhere.example", "none"])
    return _alice(rng, loot, f"{OURS}; {ours}", f"{OURS}; {PASS}")


def forged_above_ours(rng: Random, loot: Loot) -> Forgery:
    return _alice(rng, loot, f"{OURS}; {PASS}", f"{OURS}; {FAIL}")


def pass_for_another_domain(rng: Random, loot: Loot) -> Forgery:
    domain = rng.choice(
        ["elsewhere.example", "example", "support.example.org", "sub.support.example"]
    )
    return _alice(rng, loot, f"{OURS}; dmarc=pass header.from={domain}")


def pass_in_a_comment(rng: Random, loot: Loot) -> Forgery:
    value = rng.choice(
        [
            f"{OURS}; spf=fail ({PASS})",
            f"{OURS}; dmarc=fail (; {PASS})",
            f"{OURS}; dmarc(=pass)=fail header.from=support.example",
            f"{OURS}; spf=none (a (nested; {PASS}) one)",
            f"{OURS}; spf=none (an open one; {PASS}",
            f"(elsewhere) {OURS}; dmarc=fail; (x) {PASS}",
        ]
    )
    return _alice(rng, loot, value)


def pass_in_a_quoted_string(rng: Random, loot: Loot) -> Forgery:
    value = rng.choice(
        [
            f'{OURS}; spf=none reason="; {PASS}"',
            f'{OURS}; spf=fail smtp.mailfrom="x; {PASS}; y"@elsewhere.example',
            f'{OURS}; dmarc=fail reason="\\"; {PASS}"',
            f'{OURS}; spf=none reason="open; {PASS}',
        ]
    )
    return _alice(rng, loot, value)


def two_results_in_one(rng: Random, loot: Loot) -> Forgery:
    return _alice(rng, loot, rng.choice([f"{OURS}; {FAIL}; {PASS}", f"{OURS}; {PASS}; {FAIL}"]))


def pass_in_another_header(rng: Random, loot: Loot) -> Forgery:
    name = rng.choice(
        [
            "X-Authentication-Results",
            "ARC-Authentication-Results",
            "Authentication-Results-Original",
        ]
    )
    forged = _alice(rng, loot)
    return Forgery(f"{name}: {OURS}; {PASS}\r\n".encode() + forged.mail, claims=True)


def lookalike_domain(rng: Random, loot: Loot) -> Forgery:
    domain = rng.choice(
        [
            "support.example.elsewhere.example",
            "supp0rt.example",
            "support-example.org",
            "suport.example",
            "support.example.",
            "xn--supprt-jua.example",
            "suppоrt.example",  # a Cyrillic о
            "ѕupport.example",  # a Cyrillic ѕ
            "support。example",  # an ideographic full stop
        ]
    )
    line = f"From: {ALICE.name} <alice@{domain}>"
    return _from(rng, loot, line, f"{OURS}; dmarc=pass header.from={domain}")


def lookalike_name(rng: Random, loot: Loot) -> Forgery:
    local = rng.choice(["аlice", "a1ice", "alıce", "alice.", "alice+x", "alice\u200b", '"alice "'])
    return _from(rng, loot, f"From: {ALICE.name} <{local}@support.example>", f"{OURS}; {FAIL}")


def two_from_headers(rng: Random, loot: Loot) -> Forgery:
    lines = [f"From: <{ALICE.address}>", f"From: <{MALLORY.address}>"]
    rng.shuffle(lines)
    auth = rng.choice([passed(ALICE), passed(MALLORY)])
    return _from(rng, loot, "\r\n".join(lines), auth, claims=True)


def twice_the_same_from(rng: Random, loot: Loot) -> Forgery:
    lines = [f"From: <{ALICE.address}>", f"From: <{ALICE.address}>"]
    return _from(rng, loot, "\r\n".join(lines), passed(ALICE), claims=True)


def two_addresses(rng: Random, loot: Loot) -> Forgery:
    both = [f"Alice <{ALICE.address}>", f"<{MALLORY.address}>"]
    rng.shuffle(both)
    auth = rng.choice([passed(ALICE), passed(MALLORY)])
    return _from(rng, loot, f"From: {', '.join(both)}", auth, claims=True)


def group_syntax(rng: Random, loot: Loot) -> Forgery:
    line = rng.choice(
        [
            f"From: Team: {ALICE.address}, {MALLORY.address};",
            f"From: Team: {MALLORY.address};, {ALICE.address}",
            f"From: {ALICE.address}:;, {MALLORY.address}",
        ]
    )
    return _from(rng, loot, line, passed(MALLORY))


def encoded_words(rng: Random, loot: Loot) -> Forgery:
    line = rng.choice(
        [
            f"From: =?utf-8?q?alice=40support=2Eexample?= <{MALLORY.address}>",
            f"From: =?utf-8?q?Alice_=3Calice=40support=2Eexample=3E?= <{MALLORY.address}>",
            f"From: =?utf-8?b?PGFsaWNlQHN1cHBvcnQuZXhhbXBsZT4=?= <{MALLORY.address}>",
            f"From: =?utf-8?q?Alice=0D=0AFrom=3A_alice=40support=2Eexample?= <{MALLORY.address}>",
            f"From: =?utf-8?q?alice=40support=2Eexample=2C?= <{MALLORY.address}>",
            f"From: =?utf-8?q?alice=40support=2Eexample=00?= <{MALLORY.address}>",
        ]
    )
    return _from(rng, loot, line, passed(MALLORY))


def encoded_address(rng: Random, loot: Loot) -> Forgery:
    line = rng.choice(
        [
            "From: =?utf-8?q?alice=40support=2Eexample?=",
            "From: <=?utf-8?q?alice?=@support.example>",
            "From: =?utf-8?b?QWxpY2UgPGFsaWNlQHN1cHBvcnQuZXhhbXBsZT4=?=",
        ]
    )
    return _from(rng, loot, line, f"{OURS}; dmarc=none")


def display_name(rng: Random, loot: Loot) -> Forgery:
    line = rng.choice(
        [
            f'From: "{ALICE.address}" <{MALLORY.address}>',
            f"From: {ALICE.address} <{MALLORY.address}>",
            f'From: "Alice Agent <{ALICE.address}>" <{MALLORY.address}>',
            f"From: <{ALICE.address}> <{MALLORY.address}>",
            f"From: {MALLORY.address} ({ALICE.address})",
            f'From: "Alice\\" <{ALICE.address}>" <{MALLORY.address}>',
            f"From: Alice Agent <{MALLORY.address}>",
        ]
    )
    return _from(rng, loot, line, passed(MALLORY))


def broken_address(rng: Random, loot: Loot) -> Forgery:
    line = rng.choice(
        [
            f"From: <{ALICE.address}@elsewhere.example>",
            f"From: <@elsewhere.example:{ALICE.address}>",
            f"From: <{ALICE.address}",
            f"From: {ALICE.address}>",
            f"From: <{ALICE.address}\x00@elsewhere.example>",
            "From: <alice(x)@support.example>",
            "From: alice @ support.example",
            "From:",
        ]
    )
    return _from(rng, loot, line, f"{OURS}; {FAIL}")


def sender_and_resent(rng: Random, loot: Loot) -> Forgery:
    heads = rng.choice(
        [
            f"Sender: {ALICE.address}",
            f"Resent-From: {ALICE.address}",
            f"Resent-From: {ALICE.address}\r\nResent-Sender: {ALICE.address}",
            f"Return-Path: <{ALICE.address}>",
            f"X-Original-From: {ALICE.address}",
            f"Reply-To: {ALICE.address}",
            f"Reply-To: {ALICE.name} <{ALICE.address}>, {MALLORY.address}",
        ]
    )
    line = f"{heads}\r\nFrom: {MALLORY.name} <{MALLORY.address}>"
    return _from(rng, loot, line, rng.choice([passed(MALLORY), passed(ALICE)]))


def client_role_token(rng: Random, loot: Loot) -> Forgery:
    """Even Alice herself gives no orders in the client's thread: there everybody reads them."""
    return Forgery(answer(loot.registration, ALICE, _order(rng)))


def client_in_agents_thread(rng: Random, loot: Loot) -> Forgery:
    """The client holds an agent's mail, which was forwarded to them."""
    return Forgery(answer(loot.notice, CLAIRE, _order(rng)))


def altered_token(rng: Random, loot: Loot) -> Forgery:
    mail = answer(loot.notice, ALICE, _order(rng), quote=False, subject="Re: Export")
    kind = rng.randrange(5)
    if kind == 0:  # another ticket under the same MAC
        mail = mail.replace(b"mf.1.a.", b"mf.2.a.")
    elif kind == 1:  # another nonce
        mail = re.sub(rb"mf\.1\.a\.[a-z0-9]+\.", b"mf.1.a.0123456789abcdef.", mail)
    elif kind == 2:  # one letter of the MAC
        mail = re.sub(rb"(mf\.1\.a\.[a-z0-9]+\.)[a-z2-7]", rb"\g<1>=", mail)
    elif kind == 3:  # a MAC that is too short
        mail = re.sub(rb"(mf\.1\.a\.[a-z0-9]+\.[a-z2-7]{20})[a-z2-7]+", rb"\1", mail)
    else:  # a MAC that is made up
        made_up = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz234567", k=52)).encode()
        mail = re.sub(rb"(mf\.1\.a\.[a-z0-9]+\.)[a-z2-7]{52}", rb"\g<1>" + made_up, mail)
    return Forgery(mail)


def client_token_made_an_agents(rng: Random, loot: Loot) -> Forgery:
    source = rng.choice([loot.registration, loot.other])
    mail = answer(source, ALICE, _order(rng), quote=False, subject="Re: Export")
    return Forgery(re.sub(rb"mf\.(\d)\.c\.", rb"mf.\1.a.", mail))


def no_token(rng: Random, loot: Loot) -> Forgery:
    """A proven agent's new mail, with the reference: there is no thread that it is in."""
    subject = rng.choice(["MF-2026-000001", "Re: Export [MF-2026-000001]"])
    return Forgery(write(ALICE, subject, _order(rng), auth=passed(ALICE)))


def forged_absence(rng: Random, loot: Loot) -> Forgery:
    forged = _alice(rng, loot, f"{OURS}; {FAIL}")
    return Forgery(b"Auto-Submitted: auto-replied\r\n" + forged.mail, claims=True)


WRITERS: tuple[Writer, ...] = (
    no_results,
    results_of_ours_without_pass,
    results_of_another_server,
    forged_below_ours,
    forged_above_ours,
    pass_for_another_domain,
    pass_in_a_comment,
    pass_in_a_quoted_string,
    two_results_in_one,
    pass_in_another_header,
    lookalike_domain,
    lookalike_name,
    two_from_headers,
    twice_the_same_from,
    two_addresses,
    group_syntax,
    encoded_words,
    encoded_address,
    display_name,
    broken_address,
    sender_and_resent,
    client_role_token,
    client_in_agents_thread,
    altered_token,
    client_token_made_an_agents,
    no_token,
    forged_absence,
)
