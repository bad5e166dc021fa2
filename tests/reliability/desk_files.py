"""The files of the desk that the harnesses kill."""

from pathlib import Path

JOURNAL = "journal@support.example"
CONFIG = """\
[support]
address = "support@support.example"
max_automatic_mails_per_day = 1000

[imap]
host = "127.0.0.1"
port = {imap}
tls = "none"
username = "{user}"
password_env = "HARNESS_PASSWORD"

[smtp]
host = "127.0.0.1"
port = {smtp}
tls = "none"

[database]
url = "{url}"

[limits]
max_mails_per_sender_and_minute = 100000
"""
JOURNAL_CONFIG = """
[journal]
address = "{address}"
host = "127.0.0.1"
port = {imap}
tls = "none"
username = "{user}"
password_env = "HARNESS_PASSWORD"
folder = "Journal"
settle_seconds = {settle}
"""
ORGANISATIONS = """\
[[organisation]]
name = "Everybody"
domains = ["brasserie-du-lac.example", "northwind-mills.example"]
"""
AGENTS = """\
[[agent]]
name = "Anne Leroy"
address = "anne.leroy@support.example"
languages = ["fr", "en"]
"""


def write_desk(
    folder: Path, *, imap: int, smtp: int, user: str, url: str, settle: int | None
) -> None:
    """Write a desk's files. `settle`: the journal's settle time in seconds; None for no journal."""
    config = CONFIG.format(imap=imap, smtp=smtp, user=user, url=url)
    if settle is not None:
        config += JOURNAL_CONFIG.format(address=JOURNAL, imap=imap, user=user, settle=settle)
    (folder / "config.toml").write_text(config)
    (folder / "organisations.toml").write_text(ORGANISATIONS)
    (folder / "agents.toml").write_text(AGENTS)
