"""A desk on real servers for the tests of `init` and `check`, and their output as one reads it."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from mailflow.cli import app
from mailflow.demo.servers import PASSWORD, USER

WIDE = {"COLUMNS": "300", "NO_COLOR": "1", "TERM": "dumb"}

CONFIG = """
[support]
address = "support@support.example"
[imap]
host = "127.0.0.1"
port = {imap_port}
tls = "none"
username = "{user}"
password_file = "secret"
[smtp]
host = "127.0.0.1"
port = {smtp_port}
tls = "none"
[trust]
authserv_id = "mx.support.example"
"""
ORGANISATIONS = """
[[organisation]]
name = "Client SA"
domains = ["client.example"]
"""
AGENTS = """
[[agent]]
name = "Sophie Bernard"
address = "sophie@support.example"
role = "supervisor"
"""


def run(*arguments: str, input: str | None = None, **variables: str) -> Result:
    """Run a command as a person would; its output is not folded."""
    return CliRunner().invoke(app, arguments, input=input, env=WIDE | variables)


def write_desk(folder: Path, imap_port: int = 1, smtp_port: int = 1) -> Path:
    """Write a configuration that holds, and return its path. Port 1: nobody listens."""
    config = folder / "config.toml"
    config.write_text(CONFIG.format(imap_port=imap_port, smtp_port=smtp_port, user=USER), "utf-8")
    (folder / "organisations.toml").write_text(ORGANISATIONS, "utf-8")
    (folder / "agents.toml").write_text(AGENTS, "utf-8")
    secret = folder / "secret"
    secret.write_text(PASSWORD + "\n", "utf-8")
    secret.chmod(0o600)
    return config


def change(path: Path, old: str, new: str) -> None:
    """Replace `old`, which must be there, in a file."""
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def rows(config: Path, *options: str) -> list[dict[str, Any]]:
    """Return what `mailflow check --json` finds."""
    done = run("check", "-c", str(config), "--json", *options)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    found = [json.loads(line) for line in done.stdout.splitlines()]
    failed = any(row["result"] == "failed" for row in found)
    assert done.exit_code == (1 if failed else 0), done.output
    return found


def said(found: list[dict[str, Any]], result: str) -> list[str]:
    """Return 'check: what was found → mend' of the rows with this result."""
    return [f"{r['check']}: {r['found']} → {r['mend']}" for r in found if r["result"] == result]
