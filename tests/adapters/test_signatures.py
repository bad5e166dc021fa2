import base64
import shutil
import subprocess
from types import SimpleNamespace

import dkim
import dns.exception
import dns.resolver
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailflow.adapters.signatures import MOST_SIGNATURES, check_signatures, find_txt
from mailflow.core.authority import Signature

MAIL = (
    b"From: Marie <marie@support.example>\r\nTo: support@support.example\r\n"
    b"Subject: Re: [MF-2026-000123]\r\n\r\n#priority 2 one site only\r\n"
)
VALID = (Signature("support.example", True),)
BROKEN = (Signature("support.example", False),)


def make_key():
    """A private key in PEM, and its DNS record, as a server publishes it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    pem = subprocess.run([openssl, "genrsa", "2048"], capture_output=True, check=True).stdout
    to_der = [openssl, "rsa", "-pubout", "-outform", "DER"]
    public = subprocess.run(to_der, input=pem, capture_output=True, check=True).stdout
    return pem, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


@pytest.fixture(scope="module")
def keys():
    """The key of support.example."""
    return make_key()


def zone(record, name=b"sel._domainkey.support.example."):
    """A DNS that holds one record."""

    def find(asked, timeout=5.0):
        return record if asked == name else None

    return find


def sign(pem, raw=MAIL, **options):
    return dkim.sign(raw, b"sel", b"support.example", pem, **options) + raw


def test_a_good_signature(keys):
    pem, record = keys
    assert check_signatures(sign(pem), zone(record)) == VALID


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"#priority 2", b"#close force"),  # another command
        (b"one site only\r\n", b"one site only\r\n#spam\r\n"),  # one more
        (b"From: Marie", b"From: Eve"),
        (b"000123", b"000124"),
        (b"Subject:", b"From: eve@evil.example\r\nSubject:"),  # a second From below
    ],
)
def test_an_altered_mail(keys, old, new):
    pem, record = keys
    found = check_signatures(sign(pem).replace(old, new), zone(record))
    assert found in ((), BROKEN)


def test_a_signature_over_a_part_of_the_body_is_no_proof(keys):
    pem, record = keys
    signed = sign(pem, length=True)
    assert check_signatures(signed, zone(record)) == BROKEN
    assert check_signatures(signed + b"#close force x\r\n", zone(record)) == BROKEN


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"v=DKIM1; k=rsa; p=",  # a key that was withdrawn
        b"v=DKIM1; k=rsa; p=!!!",
        b"v=DKIM1; k=rsa; p=AAAA",
        b"v=DKIM2; p=x",
        b"garbage",
        b"\xff\xfe",
        b"v=DKIM1; k=unknown; p=AAAA",
        None,
    ],
)
def test_a_key_that_cannot_be_used(keys, record):
    found = check_signatures(sign(keys[0]), zone(record))
    assert not any(signature.valid for signature in found)


def test_another_key(keys):
    pem, _ = make_key()
    assert check_signatures(sign(pem), zone(keys[1])) == BROKEN


def test_a_dns_that_fails(keys):
    def find(name, timeout=5.0):
        raise ValueError("no such name")

    found = check_signatures(sign(keys[0]), find)
    assert not any(signature.valid for signature in found)


def test_each_signature_stands_for_itself(keys):
    pem, record = keys
    foreign = dkim.sign(MAIL, b"sel", b"evil.example", pem)
    found = check_signatures(foreign + sign(pem), zone(record))
    assert Signature("support.example", True) in found
    assert not any(each.valid for each in found if each.domain == "evil.example")


def test_five_signatures_at_most(keys):
    pem, record = keys
    asked = []

    def find(name, timeout=5.0):
        asked.append(name)
        return record

    foreign = dkim.sign(MAIL, b"sel", b"evil.example", pem)
    assert len(check_signatures(foreign * 50 + MAIL, find)) == MOST_SIGNATURES
    assert len(asked) <= MOST_SIGNATURES


@pytest.mark.parametrize(
    "raw", [MAIL, b"", b"\r\n", b"no mail at all", b"From x\n\n", b"\xff: \xff"]
)
def test_no_signature(raw):
    assert check_signatures(raw, zone(None)) == ()


@given(st.binary(max_size=120), st.binary(max_size=60))
def test_any_signature_header_and_any_record_are_survived(value, record):
    raw = b"DKIM-Signature: " + value + b"\r\n" + MAIL
    found = check_signatures(raw, lambda name, timeout=5.0: record)
    assert not any(signature.valid for signature in found)


TAGS = st.fixed_dictionaries(
    {},
    optional={
        tag: st.one_of(st.sampled_from(good), st.text("ab1=+/;@. -", max_size=12))
        for tag, good in {
            "v": ["1"],
            "a": ["rsa-sha256", "rsa-sha1", "ed25519-sha256"],
            "b": ["AAAA"],
            "bh": ["AAAA", "!"],
            "c": ["relaxed/relaxed", "x/y", "simple"],
            "d": ["support.example", "", "@"],
            "h": ["from", "to", "from:from:subject", ""],
            "i": ["@support.example", ""],
            "l": ["0", "99999999999999"],
            "s": ["sel", ""],
            "t": ["0", "99999999999"],
            "x": ["0", "99999999999"],
        }.items()
    },
)


@given(TAGS, st.sampled_from([b"", b"v=DKIM1; p=", b"v=DKIM1; p=AAAA", b"k=ed25519; p=AAAA", b"x"]))
def test_odd_tags_are_survived(tags, record):
    value = "; ".join(f"{tag}={text}" for tag, text in tags.items()).encode()
    raw = b"DKIM-Signature: " + value + b"\r\n" + MAIL
    found = check_signatures(raw, lambda name, timeout=5.0: record)
    assert not any(signature.valid for signature in found)


def test_find_txt_joins_the_strings_of_a_record(monkeypatch):
    asked = []

    def resolve(name, kind, lifetime):
        asked.append((name, kind, lifetime))
        return [SimpleNamespace(strings=(b"v=DKIM1; ", b"p=abc"))]

    monkeypatch.setattr(dns.resolver, "resolve", resolve)
    assert find_txt(b"sel._domainkey.support.example.", timeout=2.0) == b"v=DKIM1; p=abc"
    assert find_txt("sel.example") == b"v=DKIM1; p=abc"
    assert asked == [("sel._domainkey.support.example.", "TXT", 2.0), ("sel.example", "TXT", 2.0)]


def test_find_txt_without_a_record(monkeypatch):
    def resolve(name, kind, lifetime):
        raise dns.resolver.NXDOMAIN

    monkeypatch.setattr(dns.resolver, "resolve", resolve)
    assert find_txt("sel.example") is None


@pytest.mark.parametrize(
    "name", [b"a" * 64 + b".example", b"a..b", b"\xff.example", "\udcff.example"]
)
def test_find_txt_of_a_name_that_cannot_be(name):
    assert find_txt(name, timeout=0.01) is None


def test_dns_errors_are_of_one_family():
    assert issubclass(dns.resolver.NXDOMAIN, dns.exception.DNSException)
