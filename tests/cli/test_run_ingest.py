"""`mailflow ingest` and `mailflow run --once`, as an operator or a mail server calls them."""

import mailbox as mailbox_formats
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from mailflow.adapters.tables import Inbound, RawMail
from tests.factories_desk import DeskFactory
from tests.factories_mail import make_mail

EX_TEMPFAIL = 75


def mailflow(
    *arguments: str | Path, given: bytes | None = None
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "mailflow", *map(str, arguments)],
        input=given if given is not None else b"",
        capture_output=True,
        env={**os.environ, "COLUMNS": "200"},
        check=False,
    )


def stored(desk_factory: DeskFactory) -> list[bytes]:
    with desk_factory().database.read() as session:
        return list(session.scalars(select(RawMail.content).order_by(RawMail.inbound_id)))


def test_a_file_twice_is_stored_once(desk_factory: DeskFactory, tmp_path: Path) -> None:
    config = desk_factory.config()
    mail = tmp_path / "mail.eml"
    mail.write_bytes(make_mail())
    first = mailflow("ingest", mail, "-c", config)
    second = mailflow("ingest", mail, "-c", config)
    assert (first.returncode, second.returncode) == (0, 0)
    assert b"1 mails stored, 0 were there already" in first.stdout
    assert b"0 mails stored, 1 were there already" in second.stdout
    assert stored(desk_factory) == [mail.read_bytes()]


@pytest.mark.parametrize("kind", ["folder", "mbox", "maildir"])
def test_many_mails_at_once(desk_factory: DeskFactory, tmp_path: Path, kind: str) -> None:
    config = desk_factory.config()
    mails = [make_mail(f"Mail {number}") for number in range(25)]
    source = tmp_path / f"source-{kind}"
    if kind == "folder":
        source.mkdir()
        for number, mail in enumerate(mails):
            (source / f"{number:02}.eml").write_bytes(mail)
    else:
        box = (mailbox_formats.mbox if kind == "mbox" else mailbox_formats.Maildir)(source)
        for mail in mails:
            box.add(mail)
        box.close()
    done = mailflow("ingest", source, "-c", config)
    assert done.returncode == 0, done.stderr.decode()
    assert b"25 mails stored" in done.stdout
    found = stored(desk_factory)
    assert sorted(mail.strip() for mail in found) == sorted(mail.strip() for mail in mails)


def test_a_mail_from_a_pipe(desk_factory: DeskFactory) -> None:
    config = desk_factory.config()
    raw = b"From: x\r\nSubject: \xff\r\n\r\n\x00body"
    done = mailflow("ingest", "-", "-c", config, given=raw)
    assert done.returncode == 0, done.stderr.decode()
    assert stored(desk_factory) == [raw]
    with desk_factory().database.read() as session:
        assert session.scalars(select(Inbound.source)).all() == ["pipe"]


def test_an_empty_pipe_is_wrong_use(desk_factory: DeskFactory) -> None:
    assert mailflow("ingest", "-", "-c", desk_factory.config(), given=b"\n").returncode == 2


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////proc/mailflow.db",  # a folder in which nobody can write, root included
        "sqlite:///password.txt/mailflow.db",  # below a file
        "sqlite:///agents.toml",  # a file that is no database
        "nonsense",
        "postgresql+psycopg://nobody@127.0.0.1:1/mailflow",
    ],
)
def test_a_pipe_that_cannot_be_stored_is_tried_again_later(
    desk_factory: DeskFactory, url: str
) -> None:
    config = desk_factory.config(database={"url": url})
    done = mailflow("ingest", "-", "-c", config, given=make_mail())
    assert done.returncode == EX_TEMPFAIL
    assert b"not stored" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_pipe_with_a_broken_configuration_is_tried_again_later(tmp_path: Path) -> None:
    """The operator will mend it; the mail must not bounce meanwhile."""
    assert mailflow("ingest", "-", "-c", tmp_path / "no.toml", given=b"x").returncode == EX_TEMPFAIL
    (tmp_path / "bad.toml").write_text("[support\n")
    done = mailflow("ingest", "-", "-c", tmp_path / "bad.toml", given=b"x")
    assert done.returncode == EX_TEMPFAIL


def test_a_file_that_is_not_there_is_wrong_use(desk_factory: DeskFactory) -> None:
    done = mailflow("ingest", "missing.eml", "-c", desk_factory.config())
    assert done.returncode == 2
    assert b"missing.eml" in done.stderr


@pytest.mark.parametrize(
    ("sections", "code"),
    [
        ({"imap": {}}, 1),  # nobody listens at the mailbox's port
        ({"database": {"url": "sqlite:////proc/mailflow.db"}}, 1),
        ({"database": {"url": "nonsense"}}, 2),
    ],
)
def test_run_once_fails_in_words(
    desk_factory: DeskFactory, sections: dict[str, dict[str, str]], code: int
) -> None:
    done = mailflow("run", "--once", "-c", desk_factory.config(**sections))
    assert done.returncode == code, done.stderr.decode()
    assert b"mailflow: " in done.stderr
    assert b"Traceback" not in done.stderr
