import pytest
from pydantic import ValidationError

import mailflow.settings
from mailflow.errors import ConfigError
from mailflow.settings import Imap, Journal, Server, Smtp, Support


def server(**keys):
    return Server(host="localhost", port=993, username="support", **keys)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("support@support.example", "support@support.example"),
        (" Support@Support.Example ", "support@support.example"),
        ("support@localhost", "support@localhost"),  # the demo
    ],
)
def test_addresses(given, address):
    assert Support(address=given).address == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "support",
        "@support.example",
        "support@",
        "support@example",  # no dot, and not localhost
        "support@.",
        "support@a..example",
        "support@example.",
        "a@b@c.example",
        "Support <support@support.example>",
        "sup port@support.example",
        "support@sup port.example",
        "a,b@support.example",
        "support@support.example\nBcc: x",
    ],
)
def test_addresses_that_are_refused(address):
    for keys in ({"address": address}, {"address": "a@b.example", "aliases": [address]}):
        with pytest.raises(ValidationError, match=r"expected a (bare )?mail address"):
            Support.model_validate(keys)


def test_own_addresses_are_address_and_aliases():
    support = Support(
        address="A@x.example", aliases=("B@x.example",), quotation_address="C@x.example"
    )
    assert support.own_addresses == {"a@x.example", "b@x.example"}
    assert support.quotation_address == "c@x.example"


def test_a_zone():
    assert (
        Support(address="a@b.example", timezone="America/Montreal").timezone == "America/Montreal"
    )


def test_the_journal_has_an_address():
    login = {"host": "x.example", "username": "journal", "password_env": "X"}
    assert Journal(address="J@x.example", **login).address == "j@x.example"
    with pytest.raises(ValidationError, match="username is required"):
        Journal(address="j@x.example", host="x.example")


@pytest.mark.parametrize("zone", ["Europe/Pariss", "", "../etc/passwd", "Europe", "x\0y"])
def test_a_zone_that_is_not_there(zone):
    with pytest.raises(ValidationError, match="expected a zone name such as Europe/Paris"):
        Support(address="a@b.example", timezone=zone)


@pytest.mark.parametrize("prefix", ["", "mf", "1F", "MF-", "ABCDEFGHIJKL", "M F"])
def test_prefixes_that_are_refused(prefix):
    with pytest.raises(ValidationError, match="reference_prefix"):
        Support(address="a@b.example", reference_prefix=prefix)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_no_tls_on_loopback_only(host):
    assert Smtp(host=host, tls="none").tls == "none"


@pytest.mark.parametrize(
    "host", ["mail.example", "192.0.2.1", "10.0.0.1", "localhost.evil.example", "127.1"]
)
def test_no_tls_anywhere_else(host):
    with pytest.raises(ValidationError, match="loopback only"):
        Smtp(host=host, tls="none")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "username is required for a mailbox"),
        ({"username": "u"}, "username needs one of"),
        ({"username": "u", "password_env": "A", "password_file": "b"}, "found password_env and"),
        (
            {"username": "u", "password_env": "A", "processed_folder": None},
            "needs a processed_folder",
        ),
        (
            {"username": "u", "password_env": "A", "processed_folder": ""},
            "needs a processed_folder",
        ),
        ({"username": "u", "password_env": "A", "processed_folder": "INBOX"}, "must differ"),
        ({"username": "u", "password_env": "A", "poll_seconds": 0}, "poll_seconds"),
        ({"username": "u", "password_env": "A", "host": ""}, "host"),
    ],
)
def test_mailboxes_that_are_refused(keys, message):
    with pytest.raises(ValidationError, match=message):
        Imap.model_validate({"host": "mail.example"} | keys)


def test_flagging_needs_no_folder():
    keys = {"username": "u", "password_env": "A", "after_processing": "flag"}
    assert Imap(host="x.example", processed_folder=None, **keys).processed_folder is None


def test_secret_from_the_environment(monkeypatch):
    monkeypatch.setenv("MAILFLOW_TEST_PASSWORD", "hunter2 ")
    configured = server(password_env="MAILFLOW_TEST_PASSWORD")
    assert configured.secret() == "hunter2 "
    monkeypatch.setenv("MAILFLOW_TEST_PASSWORD", "rotated")
    assert configured.secret() == "rotated"  # read each time


@pytest.mark.parametrize("value", [None, ""])
def test_no_secret_in_the_environment(monkeypatch, value):
    monkeypatch.delenv("MAILFLOW_TEST_PASSWORD", raising=False)
    if value is not None:
        monkeypatch.setenv("MAILFLOW_TEST_PASSWORD", value)
    with pytest.raises(ConfigError, match=r"password_env: .*empty or not set; set it .* export"):
        server(password_env="MAILFLOW_TEST_PASSWORD").secret()


@pytest.mark.parametrize("content", ["hünter 2", "hünter 2\n", "hünter 2\r\n"])
def test_secret_from_a_file(tmp_path, content):
    path = tmp_path / "secret"
    path.write_bytes(content.encode())
    assert server(password_file=str(path)).secret() == "hünter 2"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read"),
        (b"\xff", "cannot read"),
        (b"", "is empty; write"),
        (b"\n", "is empty"),
    ],
)
def test_no_secret_in_the_file(tmp_path, content, message):
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"password_file: .*{message}"):
        server(password_file=str(path)).secret()


@pytest.mark.parametrize("key", ["password_command", "oauth2_token_command"])
def test_secret_from_a_command(key):
    assert server(**{key: "printf ' hunter2 \\nsecond line\\n'"}).secret() == "hunter2"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("exit 3", "failed with exit code 3: exit 3; run it by hand"),
        ("echo hunter2; exit 1", "failed with exit code 1"),
        ("true", "failed with exit code 0"),  # says nothing
        ("echo; echo hunter2", "must print the secret on its first line"),
        ("no-such-command-here", "failed with exit code 127"),
        ("printf '\\377'", "printed what is not UTF-8"),
    ],
)
def test_commands_that_fail(command, message):
    with pytest.raises(ConfigError) as caught:
        server(password_command=command).secret()
    assert message in str(caught.value)


def test_a_command_that_hangs(monkeypatch):
    monkeypatch.setattr(mailflow.settings, "SECRET_COMMAND_SECONDS", 0.01)
    with pytest.raises(ConfigError, match="took more than"):
        server(password_command="exec cat /dev/zero > /dev/null").secret()


def test_no_secret_is_configured():
    with pytest.raises(ConfigError, match="no secret is configured for None@localhost"):
        Smtp(host="localhost").secret()
