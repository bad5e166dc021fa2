"""`mailflow check` against real servers, and against each thing that can be wrong."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from imapclient import IMAPClient

from mailflow.demo.servers import PASSWORD, USER, EmbeddedImap, EmbeddedSmtp, free_port
from mailflow.services import check_files, check_servers
from mailflow.services.check_rows import Result, Row, guarded
from mailflow.services.checks import run_checks
from tests.cli.check_setup import change, rows, run, said, write_desk


@pytest.fixture
def real_rules() -> None:
    """Named by a test that wants the rules' examples and the model tried, which takes seconds."""


@pytest.fixture(autouse=True)
def quick_rules(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave them out where they are not meant."""
    if "real_rules" not in request.fixturenames:
        monkeypatch.setattr(check_files, "check_triage", lambda config: ())
        monkeypatch.setattr(check_files, "check_model", lambda config: ())


@pytest.mark.usefixtures("real_rules")
def test_everything_holds_on_real_servers(
    tmp_path: Path, imap_server: EmbeddedImap, smtp_server: EmbeddedSmtp
) -> None:
    config = write_desk(tmp_path, imap_server.port, smtp_server.port)
    done = run("check", "-c", str(config))
    assert done.exit_code == 0, done.output
    text = done.stdout
    for line in (
        "Configuration",
        "1 organisation in organisations.toml",
        "1 agent in agents.toml",
        "DMARC as checked by mx.support.example",
        "their examples hold",
        "fr: 25 mails rendered with sample data",
        "schema up to date, writable",
        "GB free beside the database",
        f"{USER} at 127.0.0.1:{imap_server.port}",
        "IDLE",
        "INBOX, 0 mails in it",
        "Processed, made just now",
        f"no login at 127.0.0.1:{smtp_server.port}",
    ):
        assert line in text, line
    assert "✗" not in text
    assert "Nothing to mend, 2 warnings" in text  # tls = "none", twice
    assert PASSWORD not in text
    assert "Processed, made just now" not in run("check", "-c", str(config)).stdout


def test_the_processed_folder_is_really_made(
    tmp_path: Path, imap_server: EmbeddedImap, smtp_server: EmbeddedSmtp
) -> None:
    run("check", "-c", str(write_desk(tmp_path, imap_server.port, smtp_server.port)))
    with IMAPClient("127.0.0.1", imap_server.port, ssl=False) as client:
        client.login(USER, PASSWORD)
        assert client.folder_exists("Processed")


def test_no_such_file_is_wrong_use(tmp_path: Path) -> None:
    done = run("check", "-c", str(tmp_path / "config.toml"))
    assert done.exit_code == 2
    assert "make one with `mailflow init`" in done.stderr


def test_offline_asks_no_server(tmp_path: Path) -> None:
    done = run("check", "-c", str(write_desk(tmp_path)), "--offline")
    assert done.exit_code == 0, done.output
    assert "Nothing to mend, 0 warnings, 2 not tried" in done.stdout


def test_a_mistake_in_one_section_leaves_the_others_checked(tmp_path: Path) -> None:
    config = write_desk(tmp_path)
    change(config, "address = ", "adress = ")
    change(config, 'tls = "none"\nusername', 'tls = "maybe"\nusername')
    (tmp_path / "agents.toml").unlink()
    found = rows(config)
    failed = said(found, "failed")
    assert any("support.adress: unknown key → did you mean address?" in line for line in failed)
    assert any("imap.tls" in line and "mend it in" in line for line in failed)
    assert any("SMTP login" in line for line in failed), "smtp is right, so it is tried"
    assert "IMAP: not checked: mend [imap] first → " in said(found, "skipped")
    assert any("nobody is told" in line for line in said(found, "warning"))
    assert any(row["check"] == "Database" and row["result"] == "holds" for row in found)


def test_a_file_that_is_not_toml_ends_the_checks(tmp_path: Path) -> None:
    config = write_desk(tmp_path)
    config.write_text("[support\n", "utf-8")
    found = rows(config)
    assert [row["result"] for row in found] == ["failed", "skipped"]
    assert "is not valid TOML" in found[0]["found"]


@pytest.mark.parametrize(
    "file, old, new, expected",
    [
        ("organisations.toml", "client.example", "a@b", "expected a domain such as"),
        ("organisations.toml", 'domains', 'calendar = "mars"\ndomains', "'mars' is not there"),
        ("agents.toml", "supervisor", "boss", "[[agent]] Sophie Bernard: role"),
        ("agents.toml", "sophie@", "support@", "has the desk's own address"),
        ("config.toml", "[trust]", '[database]\nurl = "nonsense"\n[trust]', "Database: database.url"),
        ("config.toml", "[support]", '[support]\ndefault_language = "de"', "templates for en, fr only"),
        ("secret", PASSWORD, "", "is empty → write the secret into it"),
    ],
)  # fmt: skip
def test_what_fails_offline(tmp_path: Path, file: str, old: str, new: str, expected: str) -> None:
    config = write_desk(tmp_path)
    change(tmp_path / file, old, new)
    found = rows(config, "--offline")
    failed = said(found, "failed")
    assert any(expected in line for line in failed), found
    assert any(row["check"] == "Templates" and row["result"] == "holds" for row in found)


@pytest.mark.parametrize(
    "file, old, new, expected",
    [
        ("organisations.toml", "[[organisation]]", "#", "names none: every mail is held"),
        ("organisations.toml", "domains =", "#", "neither domains nor addresses"),
        ("organisations.toml", "domains", 'language = "de"\ndomains', "no templates in 'de'"),
        ("organisations.toml", "domains", "contract_end = 2020-01-01\ndomains", "ended on 2020-01-01"),
        ("agents.toml", 'role = "supervisor"', "", "nobody is a supervisor"),
        ("agents.toml", 'role = "supervisor"', 'role = "observer"', "nobody is told of them"),
        ("agents.toml", "name", 'languages = ["de"]\nname', "Sophie Bernard: there are no templates"),
        ("config.toml", "authserv_id", "# authserv_id", "no command of an agent will be obeyed"),
        ("config.toml", "[trust]", '[trust]\nagent_proof = "token-only"', "token-only"),
        ("config.toml", "[trust]", '[files]\nrules = "mine"\n[trust]', "there is no folder"),
        ("config.toml", "[trust]", '[files]\ntemplates = "mine"\n[trust]', "there is no folder"),
        ("config.toml", "[trust]", '[database]\nurl = "sqlite://"\n[trust]', "is in memory"),
    ],
)  # fmt: skip
def test_what_is_warned_of(tmp_path: Path, file: str, old: str, new: str, expected: str) -> None:
    config = write_desk(tmp_path)
    path = tmp_path / file
    text = path.read_text("utf-8")
    if new == "#":  # the line, and all after it in the file where that is a heading
        text = text[: text.index(old)] if old.startswith("[[") else text.replace(old, "# " + old)
        path.write_text(text, "utf-8")
    else:
        change(path, old, new)
    found = rows(config, "--offline")
    warned = said(found, "warning")
    assert any(expected in line for line in warned), found
    assert said(found, "failed") == []
    assert all(not line.endswith("→ ") for line in warned), "every warning says what to do"


@pytest.mark.parametrize(
    "policy, result, words",
    [("refuse", "warning", "every client is refused"), ("accept", "holds", "serves everybody")],
)
def test_no_organisations_by_policy(tmp_path: Path, policy: str, result: str, words: str) -> None:
    config = write_desk(tmp_path)
    (tmp_path / "organisations.toml").unlink()
    change(config, "[support]", f'[support]\nunknown_sender = "{policy}"')
    assert any(words in line for line in said(rows(config, "--offline"), result))


def test_a_secret_that_others_can_read(tmp_path: Path) -> None:
    config = write_desk(tmp_path)
    (tmp_path / "secret").chmod(0o644)
    (warning,) = said(rows(config, "--offline"), "warning")
    assert "other users of this machine can read" in warning
    assert f"chmod 600 {tmp_path / 'secret'}" in warning


def test_a_secret_with_a_space_at_its_end(tmp_path: Path) -> None:
    config = write_desk(tmp_path)
    change(tmp_path / "secret", PASSWORD, PASSWORD + " ")
    (warning,) = said(rows(config, "--offline"), "warning")
    assert "spaces around it" in warning and PASSWORD not in warning


def test_a_secret_that_is_missing_is_said_once(tmp_path: Path) -> None:
    config = write_desk(tmp_path)
    change(config, 'password_file = "secret"', 'password_env = "MAILFLOW_NOT_SET"')
    found = rows(config)
    secrets = [line for line in said(found, "failed") if line.startswith("Secrets")]
    assert secrets == [
        "Secrets: [imap] password_env: the environment variable MAILFLOW_NOT_SET is empty or "
        "not set → set it before starting, e.g. export MAILFLOW_NOT_SET=…"
    ]
    assert any("IMAP login: not tried" in line for line in said(found, "skipped"))


def test_one_secret_for_both_servers_is_one_row(tmp_path: Path) -> None:
    config = write_desk(tmp_path)
    change(config, "[trust]", 'username = "support"\npassword_file = "secret"\n[trust]')
    found = [row for row in rows(config, "--offline") if row["check"] == "Secrets"]
    assert [row["found"] for row in found] == [f"[imap] and [smtp]: {tmp_path / 'secret'}"]


def test_commands_for_secrets_are_not_run_offline(tmp_path: Path) -> None:
    config = write_desk(tmp_path)
    change(config, 'password_file = "secret"', 'oauth2_token_command = "touch ran; echo token"')
    assert any(
        "command was not tried" in line for line in said(rows(config, "--offline"), "skipped")
    )
    assert not (tmp_path / "ran").exists()


def test_servers_that_do_not_answer(tmp_path: Path) -> None:
    config = write_desk(tmp_path, free_port(), free_port())
    failed = said(rows(config), "failed")
    assert len(failed) == 2
    assert all("cannot connect" in line and "check host, port and tls" in line for line in failed)


def test_a_wrong_password(
    tmp_path: Path, pymap_server: EmbeddedImap, smtp_server: EmbeddedSmtp
) -> None:
    config = write_desk(tmp_path, pymap_server.port, smtp_server.port)
    change(tmp_path / "secret", PASSWORD, "wrong")
    (failed,) = said(rows(config), "failed")
    assert failed.startswith("IMAP login") and "login refused" in failed
    assert "app password" in failed
    assert "wrong" not in failed


def test_a_folder_that_is_not_there(
    tmp_path: Path, imap_server: EmbeddedImap, smtp_server: EmbeddedSmtp
) -> None:
    config = write_desk(tmp_path, imap_server.port, smtp_server.port)
    with IMAPClient("127.0.0.1", imap_server.port, ssl=False) as client:
        client.login(USER, PASSWORD)
        client.create_folder("Support")
    change(config, "[smtp]", 'folder = "Suport"\n[smtp]')
    found = rows(config)
    (failed,) = said(found, "failed")
    assert "there is no folder 'Suport' → did you mean 'Support'?" in failed
    assert any("SMTP login" in line for line in said(found, "holds")), "the others go on"


def test_a_login_that_the_smtp_server_does_not_offer(
    tmp_path: Path, pymap_server: EmbeddedImap, smtp_server: EmbeddedSmtp
) -> None:
    config = write_desk(tmp_path, pymap_server.port, smtp_server.port)
    change(config, "[trust]", 'username = "support"\npassword_file = "secret"\n[trust]')
    (failed,) = said(rows(config), "failed")
    assert "offers no login → remove username" in failed


def test_a_mailbox_full_of_old_mails(tmp_path: Path, imap_server: EmbeddedImap) -> None:
    config = write_desk(tmp_path, imap_server.port)
    imap_server.deliver(*[b"Subject: old\r\n\r\nold\r\n"] * 51)
    assert any(
        "INBOX, 51 mails in it: `mailflow run` takes in all of them" in line
        for line in said(rows(config), "warning")
    )


def test_a_journal(tmp_path: Path, pymap_server: EmbeddedImap) -> None:
    config = write_desk(tmp_path)
    journal = (
        f'[journal]\naddress = "journal@support.example"\nhost = "127.0.0.1"\ntls = "none"\n'
        f'port = {pymap_server.port}\nusername = "{USER}"\npassword_file = "secret"\n[trust]'
    )
    change(config, "[trust]", journal)
    assert "Journal: INBOX of support at 127.0.0.1 → " in said(rows(config), "holds")
    change(
        config,
        'password_file = "secret"\n[trust]',
        'folder = "Copies"\npassword_file = "secret"\n[trust]',
    )
    assert any(
        line.startswith("Journal: journal 127.0.0.1") for line in said(rows(config), "failed")
    )


def test_without_a_mailbox_only_ingest_is_left(tmp_path: Path) -> None:
    config = write_desk(tmp_path)
    text = config.read_text("utf-8")
    config.write_text(text[: text.index("[imap]")] + text[text.index("[smtp]") :], "utf-8")
    assert any("mailflow ingest" in line for line in said(rows(config), "skipped"))


@pytest.mark.parametrize(
    "there, after, warned",
    [
        ({"IDLE", "MOVE"}, "move", []),
        ({"IDLE", "UIDPLUS"}, "move", ["MOVE"]),
        ({"MOVE"}, "move", ["IDLE"]),
        (set(), "move", ["IDLE", "MOVE", "UIDPLUS"]),
        (set(), "flag", ["IDLE"]),  # nothing is moved
    ],
)
def test_capabilities(there: set[str], after: str, warned: list[str], tmp_path: Path) -> None:
    from mailflow.config import load_config

    config = write_desk(tmp_path)
    change(config, "[smtp]", f'after_processing = "{after}"\n[smtp]')
    found = check_servers._check_capabilities(load_config(config).require_imap(), frozenset(there))
    names = [row.found.split()[4].rstrip(":") for row in found if row.result is Result.WARNING]
    assert names == warned


@pytest.mark.parametrize(
    "free, result", [(10, Result.FAILED), (10**8, Result.WARNING), (10**10, Result.HOLDS)]
)
def test_disk_space(free: int, result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(check_servers.shutil, "disk_usage", lambda folder: usage)
    (row,) = check_servers._check_space("/var/lib/mailflow.db")
    assert row.result is result


def test_a_database_that_cannot_be_made(tmp_path: Path) -> None:
    config = write_desk(tmp_path)
    (tmp_path / "file").write_text("", "utf-8")
    change(config, "[trust]", '[database]\nurl = "sqlite:///file/mailflow.db"\n[trust]')
    found = rows(config, "--offline")
    assert [row["check"] for row in found if row["result"] == "failed"] == ["Database"]


def test_a_database_elsewhere_is_not_tried_offline(tmp_path: Path) -> None:
    config = write_desk(tmp_path)
    change(config, "[trust]", '[database]\nurl = "postgresql+psycopg://u:pw@db.example/m"\n[trust]')
    found = rows(config, "--offline")
    assert "Database: not tried: --offline → " in said(found, "skipped")
    (warning,) = said(found, "warning")
    assert "database.url holds a password" in warning and "~/.pgpass" in warning
    config.chmod(0o600)
    assert said(rows(config, "--offline"), "warning") == []
    assert not any("pw@" in str(row) for row in found)


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("fr/closed.txt", "Subject: x\n\n{{ nothing }}\n", "fr/closed.txt"),
        ("en/closed.txt", "no subject\n", "the first line must begin with 'Subject:'"),
        ("en/closed.txt", "Subject: x\n\n{% if %}\n", "en/closed.txt, line 3"),
        ("de/words.toml", "", "templates/de/"),  # a language that was only begun
    ],
)
def test_a_broken_template_is_named(tmp_path: Path, name: str, text: str, expected: str) -> None:
    config = write_desk(tmp_path)
    change(config, "[trust]", '[files]\ntemplates = "mine"\n[trust]')
    path = tmp_path / "mine" / name
    path.parent.mkdir(parents=True)
    path.write_text(text, "utf-8")
    found = rows(config, "--offline")
    failed = said(found, "failed")
    assert failed and all(line.startswith("Templates") for line in failed)
    assert any(expected in line for line in failed), failed
    assert len(failed) == len(set(failed)), "each fault once, not once a priority"


RULE = """
[[rule]]
id = "en-down"
cue = "scope_all"
patterns = ['''{pattern}''']
matches = ["the portal is down"]
misses = ["the portal is down under", "if the portal is down"]
"""


@pytest.mark.usefixtures("real_rules")
@pytest.mark.parametrize(
    "pattern, expected",
    [
        (r"\\bis down$", None),
        (r"\\bis up$", "rule 'en-down' does not find its example 'the portal is down'"),
        (r"\\bis down", "rule 'en-down' finds 'the portal is down under'"),
        (r"(?=is down)", "RE2 cannot read"),
    ],
)
def test_triage_rules_are_tried_on_their_examples(
    tmp_path: Path, pattern: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mailflow.config import load_config

    path = tmp_path / "en.toml"
    mood = (
        "[[rule]]\nid = 'en-if'\ncue = 'mood_supposed'\npatterns = ['\\bif\\b']\n"
        "matches = ['if it is']\nmisses = ['is it']\n"
    )
    path.write_text(mood + RULE.format(pattern=pattern.replace("\\\\", "\\")), "utf-8")
    monkeypatch.setattr(check_files, "find_rule_files", lambda folder: {"en": path})
    found = list(check_files.check_triage(load_config(write_desk(tmp_path))))
    failed = [row.found for row in found if row.result is Result.FAILED]
    if expected is None:
        assert failed == []
    else:
        assert len(failed) == 1 and expected in failed[0], failed


def test_broken_sla_rules(tmp_path: Path) -> None:
    config = write_desk(tmp_path)
    change(config, "[trust]", '[files]\nrules = "mine"\n[trust]')
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "sla.toml").write_text("version = 3\n", "utf-8")
    failed = said(rows(config, "--offline"), "failed")
    assert any(line.startswith("SLA policy") for line in failed)


def test_what_nobody_foresaw_becomes_a_row() -> None:
    def look() -> list[Row]:
        raise RuntimeError("boom")

    (row,) = guarded("Thing", look, "report it")
    assert (row.result, row.found) == (Result.FAILED, "RuntimeError: boom")


def test_checks_never_raise(tmp_path: Path) -> None:
    assert [row.result for row in run_checks(tmp_path, datetime.now(UTC))] == [
        Result.FAILED,
        Result.SKIPPED,
    ]
