import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailflow.core.authority import (
    Proof,
    Results,
    Signature,
    check_sender,
    is_aligned,
    is_well_formed,
    parse_results,
)
from mailflow.core.messages import Address, MessageClass
from tests.factories import make_message

SERVER = "mx.support.example"
AGENT = Address("Marie Dupont", "marie@support.example")
FROM = ("From", "Marie Dupont <marie@support.example>")
GOOD = f"{SERVER}; spf=pass; dmarc=pass header.from=support.example"


def mail(*headers, senders=(AGENT,), **changes):
    return make_message(senders=senders, headers=headers, **changes)


def results(*values):
    return tuple(("Authentication-Results", value) for value in values)


def dmarc(*headers, server=SERVER, **changes):
    return check_sender(mail(*headers, **changes), "dmarc", server)


@pytest.mark.parametrize(
    "value",
    [
        GOOD,
        f"{SERVER} 1; dmarc=pass header.from=support.example",  # a version after the server
        f"{SERVER.upper()}; DMARC=PASS header.from=Support.Example",  # case does not matter
        f"{SERVER};\r\n\tdmarc=pass (p=reject dis=none)\r\n\theader.from=support.example",  # folded
        f"{SERVER}; dmarc = pass header.from = support.example",
        f"{SERVER}; dmarc=pass(p=none)header.from=support.example",  # a comment is white space
        f"{SERVER}; dmarc=pass header.from=marie@support.example",  # some write the address
        f"(by us (really)) {SERVER}; dmarc=pass header.from=support.example",
        f"{SERVER}; dmarc=pass policy.dmarc=reject header.from=support.example;",
        f'{SERVER}; spf=pass smtp.mailfrom="a;b(c"; dmarc=pass header.from=support.example',
        f"{SERVER}; spf=fail (a \\) b); dmarc=pass header.from=support.example",
    ],
)
def test_proven_by_our_own_server(value):
    proof = dmarc(*results(value), FROM)
    assert proof == Proof(True, f"{SERVER}: dmarc=pass for support.example")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ((), "no Authentication-Results"),  # not passed by our server
        (("mx.evil.example; dmarc=pass header.from=support.example",), "no Authentication-Results"),
        ((f"x{SERVER}; dmarc=pass header.from=support.example",), "no Authentication-Results"),
        ((f"{SERVER}.evil.example; dmarc=pass header.from=support.example",), "no Authentication"),
        (("mx.ѕupport.example; dmarc=pass header.from=support.example",), "no Auth"),  # Cyrillic
        (("",), "no Authentication-Results"),
        ((";",), "no Authentication-Results"),
        ((f"{SERVER}; none",), "dmarc=nothing"),
        ((f"{SERVER}; dkim=pass header.d=support.example",), "dmarc=nothing"),
        ((f"{SERVER}; dmarc=fail header.from=support.example",), "dmarc=fail"),
        ((f"{SERVER}; dmarc=none header.from=support.example",), "dmarc=none"),
        ((f"{SERVER}; dmarc=bestguesspass header.from=support.example",), "dmarc=bestguesspass"),
        ((f"{SERVER}; dmarc=temperror header.from=support.example",), "dmarc=temperror"),
        ((f"{SERVER}; xdmarc=pass header.from=support.example",), "dmarc=nothing"),
        ((f"{SERVER}; spf=pass dmarc=pass header.from=support.example",), "dmarc=nothing"),
        ((f"{SERVER}; dmarc=pass, header.from=support.example",), "dmarc=nothing"),
        ((f"{SERVER}; dmarc=paſs header.from=support.example",), "dmarc=nothing"),  # a long s
        ((f"{SERVER}; dmarc=pass",), "for no domain"),
        ((f"{SERVER}; dmarc=pass header.from=evil.example",), "is for evil.example"),
        ((f"{SERVER}; dmarc=pass header.from=support.example.evil.example",), "is for support.ex"),
        ((f"{SERVER}; dmarc=pass header.from=ѕupport.example",), "for no domain"),
        ((f"{SERVER}; dmarc=pass header.from=support.example/x",), "for no domain"),
        (
            (f"{SERVER}; dmarc=pass header.from=evil.example header.from=support.example",),
            "for no domain",
        ),
        ((f'{SERVER}; dmarc=pass header.from="support.example"',), "for no domain"),
        # what stands in a comment or in quotes decides nothing
        ((f"{SERVER}; dmarc=fail (; dmarc=pass header.from=support.example)",), "dmarc=fail"),
        ((f'{SERVER}; spf=pass x="; dmarc=pass header.from=support.example"',), "dmarc=nothing"),
        ((f"({SERVER}; dmarc=pass header.from=support.example",), "no Authentication"),
        # two results in one header, as when a MAIL FROM was written into it unquoted
        (
            (
                f"{SERVER}; spf=pass smtp.mailfrom=x;dmarc=pass header.from=support.example@evil"
                "; dmarc=fail header.from=support.example",
            ),
            "dmarc=ambiguous",
        ),
        # … and one with an open comment or quote, to swallow the true result
        (
            (
                f"{SERVER}; spf=pass smtp.mailfrom=x;dmarc=pass header.from=support.example (@evil"
                "; dmarc=fail header.from=support.example",
            ),
            "dmarc=unreadable",
        ),
        (
            (f'{SERVER}; spf=pass x;dmarc=pass header.from=support.example "; dmarc=fail',),
            "dmarc=unreadable",
        ),
        ((GOOD + " \\",), "dmarc=unreadable"),
        # a forged one below ours
        ((f"{SERVER}; dmarc=fail header.from=support.example", GOOD), "dmarc=fail"),
        ((f"{SERVER}; spf=pass", GOOD), "dmarc=nothing"),
        ((f"{SERVER}; spf=pass (open", GOOD), "dmarc=unreadable"),
        # a forged one above ours, should the server write its own at the end
        ((GOOD, f"{SERVER}; dmarc=fail header.from=support.example"), "contradict"),
        ((GOOD, f"{SERVER}; dmarc=none"), "contradict"),
        ((GOOD, f"{SERVER}; x=( "), "contradict"),
    ],
)
def test_not_proven_by_results(values, why):
    proof = dmarc(*results(*values), FROM)
    assert not proof.proven
    assert why in proof.reason


def test_results_of_other_servers_do_not_matter():
    proof = dmarc(*results("mx.evil.example; dmarc=fail", GOOD, "x.example; dmarc=pass"), FROM)
    assert proof.proven


@pytest.mark.parametrize("name", ["ARC-Authentication-Results", "X-Authentication-Results"])
def test_only_the_header_itself_counts(name):
    assert not dmarc((name, GOOD), FROM).proven


def test_without_authserv_id_nothing_can_be_trusted():
    proof = dmarc(*results(GOOD), FROM, server=None)
    assert proof == Proof(False, "trust.authserv_id is not set, so no result can be trusted")


EVIL = Address("", "eve@evil.example")


@pytest.mark.parametrize(
    ("headers", "senders", "why"),
    [
        ((FROM, FROM), (AGENT,), "exactly one From"),  # the parser may show only the first
        ((FROM, ("from", "eve@evil.example")), (AGENT, EVIL), "exactly one From"),
        ((("From", "marie@support.example, eve@evil.example"),), (AGENT, EVIL), "exactly one From"),
        ((), (AGENT,), "exactly one From"),
        ((("Sender", "marie@support.example"),), (AGENT,), "exactly one From"),
        ((("Resent-From", "marie@support.example"),), (AGENT,), "exactly one From"),
        ((FROM,), (), "exactly one From"),
        ((FROM,), (Address("", "marie@support.example@evil.example"),), "not well-formed"),
        ((FROM,), (Address("", "marie @support.example"),), "not well-formed"),
        ((FROM,), (Address("", '"marie"@support.example'),), "not well-formed"),
        ((FROM,), (Address("", "marie@support.example\n"),), "not well-formed"),
        ((FROM,), (Address("", "marie@support.examplе"),), "not well-formed"),  # Cyrillic е
        ((FROM,), (Address("", "marie@[192.0.2.1]"),), "not well-formed"),
        ((FROM,), (Address("", "marie@"),), "not well-formed"),
    ],
)
@pytest.mark.parametrize("mode", ["dmarc", "dkim", "token-only"])
def test_one_from_with_one_address_in_every_mode(headers, senders, why, mode):
    message = mail(*results(GOOD), *headers, senders=senders)
    proof = check_sender(message, mode, SERVER, (Signature("support.example", True),))
    assert not proof.proven
    assert why in proof.reason


def test_display_names_prove_nothing():
    impostor = Address("marie@support.example", "eve@evil.example")
    proof = dmarc(*results(GOOD), FROM, senders=(impostor,))
    assert not proof.proven
    assert "not evil.example" in proof.reason


@pytest.mark.parametrize("mode", ["dmarc", "dkim", "token-only"])
def test_a_mail_that_says_it_is_ours_is_not_an_agents(mode):
    message = mail(*results(GOOD), FROM, message_class=MessageClass.OWN)
    assert not check_sender(message, mode, SERVER).proven


def test_token_only_is_taken_by_configuration():
    proof = check_sender(mail(FROM), "token-only", None)
    assert proof.proven
    assert "by configuration" in proof.reason


@pytest.mark.parametrize(
    ("signatures", "proven", "reason"),
    [
        ([("support.example", True)], True, "DKIM signature of support.example verified"),
        ([("evil.example", True), ("support.example", True)], True, "of support.example"),
        ([("example", True)], False, "found: example (valid)"),  # a public suffix
        ([("support.example", False)], False, "found: support.example (broken)"),
        ([("evil.example", True)], False, "found: evil.example (valid)"),
        ([("evil.example", True), ("support.example", False)], False, "support.example (broken)"),
        ([], False, "found: none"),
    ],
)
def test_dkim(signatures, proven, reason):
    checked = tuple(Signature(*each) for each in signatures)
    proof = check_sender(mail(FROM), "dkim", None, checked)
    assert proof.proven is proven
    assert reason in proof.reason


@pytest.mark.parametrize(
    ("from_domain", "signing", "aligned"),
    [
        ("client.example", "client.example", True),
        ("client.example", "CLIENT.example.", True),  # case, and the root's dot
        ("mail.client.example", "client.example", True),  # relaxed: a parent
        ("a.b.client.example", "client.example", True),
        ("client.example", "mail.client.example", False),  # a child is another's machine
        ("notclient.example", "client.example", False),  # no dot between
        ("client.example", "example", False),
        ("client.co.uk", "co.uk", False),  # a public suffix of two labels
        ("mail.client.co.uk", "client.co.uk", True),
        ("client.example", "", False),
        ("client.example", ".", False),
    ],
)
def test_alignment(from_domain, signing, aligned):
    assert is_aligned(from_domain, signing) is aligned


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("mx; dmarc=pass header.from=a.example", Results("mx", "pass", "a.example")),
        ("MX", Results("mx", "", "")),
        ("", Results("", "", "")),
        ("mx; dmarc=pass; dmarc=pass", Results("mx", "ambiguous", "")),
        ("mx; dmarc=pass (", Results("mx", "unreadable", "")),
        ("mx ) ; dmarc=pass", Results("mx", "pass", "")),  # a stray bracket closes nothing
        ("mx; dm(x)arc=pass", Results("mx", "", "")),  # a comment parts words
    ],
)
def test_parse_results(value, expected):
    assert parse_results(value) == expected


@given(st.text(max_size=200))
def test_any_value_can_be_read(value):
    read = parse_results(value)
    assert read.dmarc == read.dmarc.lower()


@given(st.text(max_size=60), st.text(max_size=60))
def test_nothing_written_beside_a_failed_result_makes_it_pass(before, after):
    """Whatever a sender gets our server to write into its own header besides the result."""
    value = f"{SERVER}; spf=pass smtp.mailfrom={before}; dmarc=fail {after}"
    assert not dmarc(*results(value), FROM).proven


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("a@b.example", True),
        ("a.b+c_d-e'f@b-c.example", True),
        ("@", False),
        ("a@", False),
        ("@b.example", False),
        ("a@b@c.example", False),
        ("a@-b.example", False),
        ("a@b.example\n", False),
        ("a\u202e@b.example", False),  # turns the direction of writing
        ("<a@b.example>", False),
    ],
)
def test_well_formed(address, good):
    assert is_well_formed(address) is good
