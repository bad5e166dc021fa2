import string

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mailflow.adapters.outgoing import clean_message_id, is_sendable
from mailflow.core.threads import (
    ROOT,
    ThreadRole,
    ThreadToken,
    bare_subject,
    find_references,
    find_token,
    find_tokens,
    make_message_id,
    make_reply_token,
    sign,
)

KEY = b"k" * 32
CLIENT, AGENT = ThreadRole.CLIENT, ThreadRole.AGENT
TOKEN = sign(KEY, 12, CLIENT, "n1")
MAC = TOKEN.rpartition(".")[2]
NONCES = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=40)
IDS = st.integers(1, 10**18 - 1)
ROLES = st.sampled_from(ThreadRole)


@given(IDS, ROLES, NONCES)
@example(1, AGENT, "z")
@example(10**18 - 1, CLIENT, "9" * 40)
def test_what_we_signed_is_found(ticket_id, role, nonce):
    assume(nonce != ROOT)
    message_id = make_message_id(KEY, ticket_id, role, nonce, "support.example")
    assert find_token(KEY, message_id) == ThreadToken(ticket_id, role, nonce)
    assert find_token(KEY, message_id.upper()) == ThreadToken(ticket_id, role, nonce)
    assert clean_message_id(message_id) == message_id


@given(IDS, ROLES)
def test_a_reply_address_holds_the_token_of_the_whole_thread(ticket_id, role):
    address = f"support+{make_reply_token(KEY, ticket_id, role)}@support.example"
    assert is_sendable(address)  # the local part has room for 64 characters only
    assert find_token(KEY, address) == ThreadToken(ticket_id, role, "")


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"<{TOKEN}@support.example>",
        f"<{TOKEN.upper()}@SUPPORT.EXAMPLE>",  # some programs change the case
        f"<x{TOKEN}@support.example>",
        f"<{TOKEN}@another.example>",  # the domain proves nothing, the key does
        f"mf.1.c.x.{'a' * 52} {TOKEN}",  # a forged one before it
    ],
)
def test_found_in(text):
    assert find_token(KEY, text) == ThreadToken(12, CLIENT, "n1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<1@client.example>",
        TOKEN.replace("mf.12.", "mf.13."),  # another ticket
        TOKEN.replace(".c.", ".a."),  # a client's thread turned into an agent's
        TOKEN.replace(".c.", ".x."),  # a role that does not exist
        TOKEN.replace(".n1.", ".n2."),
        TOKEN.replace(".n1.", ".root."),
        TOKEN.replace("mf.12.", "mf.012."),  # the same number written otherwise
        TOKEN.replace("mf.12.", "mf.１２."),  # full-width digits
        TOKEN.replace("mf.12.", "mf.١٢."),  # Arabic digits
        TOKEN.replace("mf.12.", "mf.-12."),
        TOKEN.replace("mf.12.", f"mf.{'9' * 19}."),  # too large for the database
        TOKEN.replace("mf.12.", f"mf.{'9' * 5000}."),  # too large for int()
        TOKEN[:-1],  # a character lost on the way
        TOKEN + "a",  # one more
        TOKEN[:-27],  # fewer than the short form has
        TOKEN[: -len(MAC)] + MAC[::-1],
        TOKEN[: -len(MAC)] + "a" * 52,
        TOKEN[: -len(MAC)] + "a" * 26,
        TOKEN.replace("mf.", "mf．"),  # a full-width dot
    ],
)
def test_not_found_in(text):
    assert find_token(KEY, text) is None


def test_another_key_signs_otherwise():
    assert find_token(b"x" * 32, TOKEN) is None


@given(IDS, ROLES, NONCES, st.data())
def test_no_changed_character_is_accepted(ticket_id, role, nonce, data):
    token = sign(KEY, ticket_id, role, nonce)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(string.ascii_lowercase + string.digits + ".-"))
    assume(token[place] != other)
    found = find_token(KEY, token[:place] + other + token[place + 1 :])
    assert found is None


@given(st.text(max_size=300))
def test_nothing_is_found_in_other_text(text):
    assert find_token(KEY, text) is None


def test_several_tokens_keep_their_order():
    other = sign(KEY, 5, AGENT, ROOT)
    assert find_tokens(KEY, (f"<{TOKEN}@x>", "nothing", other)) == (
        ThreadToken(12, CLIENT, "n1"),
        ThreadToken(5, AGENT, ""),
    )


@pytest.mark.parametrize(
    ("subject", "references"),
    [
        ("[MF-2026-000123] Re: export", ("MF-2026-000123",)),
        ("re: mf-2026-000123", ("MF-2026-000123",)),  # case does not matter
        ("MF-2026-000123 and MF-2026-000124", ("MF-2026-000123", "MF-2026-000124")),
        ("MF-2026-123456789", ("MF-2026-123456789",)),
        ("MF-2026-00012", ()),  # too short
        ("MF-2026-1234567890", ()),  # too long
        ("XMF-2026-000123", ()),  # another prefix
        ("A-MF-2026-000123", ()),
        ("MF-２０２６-000123", ()),  # full-width digits
        ("MF 2026 000123", ()),
        ("", ()),
    ],
)
def test_find_references(subject, references):
    assert find_references(subject, "MF") == references


def test_long_s_is_no_s():
    assert find_references("ſU-2026-000123", "SU") == ()


@pytest.mark.parametrize(
    ("subject", "bare"),
    [
        ("The export fails", "The export fails"),
        ("Re: The export fails", "The export fails"),
        ("RE : TR : The export fails", "The export fails"),  # French spacing
        ("Réf: Rép : x", "x"),
        ("Re[2]: Re [3]: x", "x"),
        ("AW: WG: Antw: Fwd: FW: x", "x"),
        ("Re：x", "x"),  # a full-width colon
        ("[MF-2026-000123] x", "x"),
        ("Re: x [MF-2026-000123]", "x"),
        ("[mf-2026-000123] Re: [MF-2026-000124] x", "x"),
        ("Regarding: x", "Regarding: x"),  # a word, not a prefix
        ("x Re: y", "x Re: y"),  # only at the beginning
        ("[XY-2026-000123] x", "[XY-2026-000123] x"),
        ("Re:", ""),
    ],
)
def test_bare_subject(subject, bare):
    assert bare_subject(subject, "MF") == bare


@given(st.text(max_size=100))
def test_a_reply_has_the_same_bare_subject(subject):
    bare = bare_subject(subject, "MF")
    assert bare_subject(f"Re: {bare}", "MF") == bare_subject(bare, "MF")


def test_hostile_subjects_cost_little():
    for hostile in (" " * 200_000, "re:" * 50_000, "\t[MF-" * 50_000, "MF-2026-" * 50_000):
        assert len(bare_subject(hostile, "MF")) <= len(hostile)
        assert find_references(hostile, "MF") == ()
