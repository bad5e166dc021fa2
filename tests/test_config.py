from pathlib import Path

import pytest

from mailflow.config import load_config
from mailflow.errors import ConfigError

GOOD = """
[support]
address = "Support@Support.example"
[imap]
host = "imap.support.example"
username = "support"
password_file = "secret.txt"
ca_file = "/etc/ca.pem"
[smtp]
host = "smtp.support.example"
"""


@pytest.fixture
def write(tmp_path):
    def _write(text):
        path = tmp_path / "config.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return _write


def refused(path):
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    for line in str(caught.value).splitlines():
        assert line.startswith(f"{path}: ")  # each line names the file
    return str(caught.value).replace(f"{path}: ", "")


def test_paths_are_taken_from_the_folder_of_the_file(write, tmp_path):
    text = '[files]\nrules = "rules"\nagents = "/etc/agents.toml"\n[database]\nurl = "sqlite:///a.db"\n'
    config = load_config(write(GOOD + text))
    assert config.path == (tmp_path / "config.toml").resolve()
    assert config.files.rules == tmp_path / "rules"
    assert config.files.organisations == tmp_path / "organisations.toml"
    assert config.files.agents == Path("/etc/agents.toml")  # an absolute one stays
    assert config.files.templates is None  # the shipped ones
    assert config.database.url == f"sqlite:///{tmp_path / 'a.db'}"
    assert config.imap is not None
    assert config.imap.password_file == str(tmp_path / "secret.txt")
    assert config.imap.ca_file == "/etc/ca.pem"
    assert config.smtp.password_file is None
    assert config.support.address == "support@support.example"


@pytest.mark.parametrize(
    "url",
    ["sqlite:////var/lib/m.db", "sqlite:///:memory:", "sqlite:///", "postgresql+psycopg://h/m"],
)
def test_other_databases_stay_as_they_are(url, write):
    assert load_config(write(GOOD + f'[database]\nurl = "{url}"')).database.url == url


def test_a_desk_without_a_mailbox(write):
    path = write('[support]\naddress = "a@b.example"\n[smtp]\nhost = "localhost"')
    config = load_config(path)
    with pytest.raises(ConfigError, match=r"config\.toml: \[imap\] is missing; this command reads"):
        config.require_imap()
    assert load_config(write(GOOD)).require_imap().host == "imap.support.example"


def test_no_file(tmp_path):
    assert "no such file; make one with `mailflow init`, or name it with -c" in refused(
        tmp_path / "missing.toml"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\xff", "cannot be read"),  # another charset
        ("[support", "is not valid TOML"),
        ("", "support: is missing; add it (config.example.toml explains each key)"),
        (GOOD.replace("[smtp]", "[stmp]"), "stmp: unknown key; did you mean smtp?"),
        (GOOD + "zzz = 1", "smtp.zzz: unknown key; known keys: host, port, tls, username"),
        (GOOD + "hots = 1", "smtp.hots: unknown key; did you mean host?"),
        (GOOD + "[[x.y]]", "x: unknown key; known keys: support, imap, smtp, "),
        ("path = 'x'\n" + GOOD, "path: unknown key; it is mailflow that sets it, remove it"),
        ("support = 5\n[smtp]\nhost = 'x'", "support: expected a table, such as [support]"),
        (GOOD.replace('host = "smtp.support.example"', ""), "smtp.host: is missing; add it"),
        (GOOD + "port = 0", "smtp.port: Input should be greater than or equal to 1, found 0"),
        (GOOD + 'port = "x"', "smtp.port: Input should be a valid integer"),
        (
            GOOD + 'tls = "ssl"',
            "smtp.tls: Input should be 'tls', 'starttls' or 'none', found 'ssl'",
        ),
        (GOOD + 'tls = "none"', 'smtp: tls = "none" is for loopback only: use "tls" or "starttls"'),
        (GOOD + 'username = "u"', "smtp: username needs one of password_env, password_file"),
        (
            GOOD + 'username = "u"\npassword_env = "A"\npassword_command = "b"',
            "smtp: expected one of password_env, password_file, password_command, "
            "oauth2_token_command, found password_env and password_command",
        ),
        (GOOD.replace("[smtp]", 'folder = "Processed"\n[smtp]'), "must differ from folder"),
        (GOOD.replace("Support@S", "@S"), "support.address: expected a mail address such as"),
        (
            GOOD + "[limits]\nparse_seconds = 0",
            "limits.parse_seconds: Input should be greater than 0",
        ),
        (
            GOOD + '[trust]\nagent_proof = "none"',
            "trust.agent_proof: Input should be 'dmarc', 'dkim'",
        ),
        (GOOD + '[logging]\nlevel = "loud"', "logging.level: Input should be 'debug', 'info'"),
    ],
)
def test_every_refusal_names_file_key_and_mend(text, message, write):
    assert message in refused(write(text))


def test_all_mistakes_are_told_at_once(write):
    text = refused(write('[support]\nadress = "x"\n[smtp]\nport = 0'))
    keys = ["support.address", "support.adress", "smtp.host", "smtp.port"]
    assert sorted(line.partition(":")[0] for line in text.splitlines()) == sorted(keys)


def test_a_password_in_the_file_is_not_repeated_in_the_refusal(write):
    text = refused(write(GOOD + 'password = "hunter2"'))
    assert "smtp.password: unknown key; did you mean password_" in text
    assert "hunter2" not in text


def test_the_configuration_is_frozen(write):
    config = load_config(write(GOOD))
    with pytest.raises(ValueError, match="frozen"):
        config.path = Path("other")
