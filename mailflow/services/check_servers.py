"""Check what answers over the network, and the database: open them as the daemon would."""

import difflib
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from sqlalchemy.engine import make_url

from mailflow.adapters.database import open_database
from mailflow.adapters.imap import ImapMailbox
from mailflow.adapters.smtp import SmtpGateway
from mailflow.adapters.tables import Setting
from mailflow.errors import ConfigError, GatewayError
from mailflow.services.check_files import has_secret, servers
from mailflow.services.check_rows import Row, count, fails, holds, skips, warns
from mailflow.services.journal import find_copies
from mailflow.settings import Config, Imap

LITTLE_SPACE = 1_000_000_000  # bytes: warn below
NO_SPACE = 50_000_000  # bytes: fail below
MANY_WAITING = 50
LOGIN_UNTRIED = "not tried: its secret is missing, see above"
WANTED = {
    "IDLE": "new mails are seen after poll_seconds, not at once",
    "MOVE": "mails are copied and then deleted, which some servers do slowly",
    "UIDPLUS": "deleted copies stay in the folder until another program expunges it",
}


def is_remote(url: str) -> bool:
    """Whether the database is another machine's or process's."""
    return "://" in url and not url.startswith("sqlite")


def check_database(config: Config, now: datetime) -> Iterator[Row]:
    """The database opens, has the current schema, and takes a commit; its disk has space."""
    url = config.database.url
    try:
        database = open_database(url)
    except (ConfigError, GatewayError) as error:
        yield fails("Database", str(error), _mend_database(url))
        return
    try:
        with database.begin() as session:
            session.merge(Setting(name="last_check_at", value=now.isoformat()))
    except GatewayError as error:
        yield fails("Database", str(error), _mend_database(url))
        return
    finally:
        database.close()
    place = make_url(url).render_as_string(hide_password=True)
    yield holds("Database", f"{place}: schema up to date, writable")
    if not is_remote(url):
        yield from _check_space(make_url(url).database)


def _mend_database(url: str) -> str:
    if is_remote(url):
        return "check host, name, user and password in database.url, and that the server runs"
    return "check that the user who runs mailflow may write to the file and to its folder"


def _check_space(file: str | None) -> Iterator[Row]:
    if file in (None, "", ":memory:"):
        yield warns(
            "Disk space", "the database is in memory: all is lost at the end", "name a file"
        )
        return
    free = shutil.disk_usage(Path(str(file)).parent).free
    found = f"{free / 1e9:.1f} GB free beside the database"
    mend = "free some, or put the database on a larger disk (database.url)"
    if free < NO_SPACE:
        yield fails("Disk space", found, mend)
    elif free < LITTLE_SPACE:
        yield warns("Disk space", found, mend)
    else:
        yield holds("Disk space", found)


def check_imap(config: Config) -> Iterator[Row]:
    """Login, capabilities, folder, processed folder; nothing is read or moved."""
    if config.imap is None:
        yield skips("IMAP", "no [imap] section: mails come in through `mailflow ingest` only")
        return
    settings = config.imap
    if not has_secret(settings):
        yield skips("IMAP login", LOGIN_UNTRIED)
        return
    if settings.tls == "none":
        yield _unencrypted("IMAP", settings.host)
    plain = settings.model_copy(update={"folder": "INBOX", "after_processing": "flag"})
    try:
        with ImapMailbox(plain, config.limits.max_mail_bytes) as mailbox:
            folders = mailbox.folders()
            capabilities = mailbox.capabilities()
    except GatewayError as error:
        yield fails("IMAP login", str(error), _mend_login(settings.host, error.permanent))
        return
    yield holds("IMAP login", f"{settings.username} at {settings.host}:{settings.port}")
    yield from _check_capabilities(settings, capabilities)
    if settings.folder.upper() != "INBOX" and settings.folder not in folders:
        yield _no_folder(settings.folder, folders)
        return
    with ImapMailbox(settings, config.limits.max_mail_bytes) as mailbox:
        yield _waiting(settings, len(mailbox.uids()))
    if settings.after_processing == "move":
        made = "" if settings.processed_folder in folders else ", made just now"
        yield holds("Processed folder", f"{settings.processed_folder}{made}")
    else:
        yield holds("Processed folder", "none: mails stay in the folder and get a flag")


def _check_capabilities(settings: Imap, capabilities: frozenset[str]) -> Iterator[Row]:
    missing = [name for name in WANTED if name not in capabilities]
    there = [name for name in WANTED if name in capabilities]
    if there:
        yield holds("IMAP capabilities", ", ".join(there))
    for name in missing:
        if name == "MOVE" and settings.after_processing == "flag":
            continue
        if name == "UIDPLUS" and ("MOVE" in there or settings.after_processing == "flag"):
            continue
        yield warns(
            "IMAP capabilities",
            f"the server has no {name}: {WANTED[name]}",
            "nothing to do if that is acceptable; otherwise ask whoever runs the mail server",
        )


def _no_folder(folder: str, folders: list[str]) -> Row:
    close = difflib.get_close_matches(folder, folders, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    shown = ", ".join(sorted(folders)[:20])
    return fails(
        "IMAP folder",
        f"imap.folder: there is no folder {folder!r}",
        f"{hint}the mailbox has: {shown}",
    )


def _waiting(settings: Imap, mails: int) -> Row:
    found = f"{settings.folder}, {count(range(mails), 'mail')} in it"
    if settings.after_processing == "move" and mails > MANY_WAITING:
        return warns(
            "IMAP folder",
            f"{found}: `mailflow run` takes in all of them, old ones too, and answers them",
            "move old mails to another folder before the first run",
        )
    return holds("IMAP folder", found)


def check_smtp(config: Config) -> Iterator[Row]:
    """Connect and log in; nothing is sent."""
    settings = config.smtp
    if not has_secret(settings):
        yield skips("SMTP login", LOGIN_UNTRIED)
        return
    if settings.tls == "none":
        yield _unencrypted("SMTP", settings.host)
    with SmtpGateway(settings) as gateway:
        try:
            gateway.check()
        except GatewayError as error:
            refused = "login refused" in str(error)
            yield fails("SMTP login", str(error), _mend_login(settings.host, refused))
            return
    who = settings.username or "no login"
    yield holds("SMTP login", f"{who} at {settings.host}:{settings.port}")


def check_journal(config: Config) -> Iterator[Row]:
    """Log in to the journal mailbox and open its folder; nothing where none is configured."""
    journal = config.journal
    if journal is None:
        return
    if not has_secret(journal):
        yield skips("Journal", LOGIN_UNTRIED)
        return
    if journal.tls == "none":
        yield _unencrypted("Journal", journal.host)
    try:
        find_copies(journal, [])
    except GatewayError as error:
        yield fails("Journal", str(error), _mend_login(journal.host, refused=True))
        return
    yield holds("Journal", f"{journal.folder} of {journal.username} at {journal.host}")


def _unencrypted(protocol: str, host: str) -> Row:
    return warns(
        f"{protocol} encryption",
        f'tls = "none": mails and password go to {host} in clear',
        'fine on this machine for a trial; otherwise set tls = "tls"',
    )


def _mend_login(host: str, refused: bool) -> str:
    if refused:
        return (
            "check username and secret; many providers want an app password or an OAuth2 token "
            "instead of the mailbox's password (docs/mailboxes.md)"
        )
    return f"check host, port and tls, and that this machine may reach {host} (firewall)"


def skipped_servers(config: Config) -> Iterator[Row]:
    """The rows of what `--offline` leaves out."""
    for name, _ in servers(config):
        yield skips(f"{name.upper()} login", "not tried: --offline")
