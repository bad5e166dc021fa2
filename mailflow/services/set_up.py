"""Write the files of a new desk: configuration, organisations, agents; never a password."""

import json
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import ValidationError

from mailflow.errors import ConfigError
from mailflow.presets import SECRET_KEYS, Host, SecretKind
from mailflow.settings import Config


@dataclass(frozen=True, slots=True)
class Answers:
    """What a newcomer told us. `smtp_login` is off for a relay that wants none."""

    address: str
    name: str
    language: str
    imap: Host
    smtp: Host
    username: str
    secret: SecretKind
    secret_value: str  # the variable's name, the file, the command: never the secret itself
    agent_proof: str
    authserv_id: str | None
    agent: tuple[str, str] | None  # name and address
    organisation: tuple[str, str] | None  # name and mail domain
    smtp_login: bool = True


def toml_text(value: str) -> str:
    """Return `value` as a TOML basic string, quotes included.

    Source: TOML 1.0, 'String': JSON's escapes are TOML's, but for DEL, which JSON leaves alone.
    """
    clean = value.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(clean, ensure_ascii=False).replace("\x7f", "\\u007f")


def config_text(answers: Answers) -> str:
    """Return the text of `config.toml`. Raises ConfigError for answers that do not fit."""
    text = _CONFIG.format(
        address=toml_text(answers.address),
        name=toml_text(answers.name),
        language=toml_text(answers.language),
        imap=_server(answers, answers.imap, login=True),
        smtp=_server(answers, answers.smtp, login=answers.smtp_login),
        authserv_id=_authserv_id(answers.authserv_id),
        agent_proof=toml_text(answers.agent_proof),
    )
    try:
        Config.model_validate(tomllib.loads(text))
    except ValidationError as error:
        mistakes = (
            f"{'.'.join(map(str, each['loc']))}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors()
        )
        raise ConfigError("; ".join(mistakes)) from error
    return text


def _server(answers: Answers, server: Host, *, login: bool) -> str:
    lines = [
        f"host = {toml_text(server.host)}",
        f"port = {server.port}",
        f"tls = {toml_text(server.tls)}",
    ]
    if login:
        key = SECRET_KEYS[answers.secret]
        lines += [
            f"username = {toml_text(answers.username)}",
            f"{key} = {toml_text(answers.secret_value)}",
        ]
    return "\n".join(lines)


def _authserv_id(value: str | None) -> str:
    return '# authserv_id = "mx.support.example"' if value is None else (
        f"authserv_id = {toml_text(value)}"
    )  # fmt: skip


def organisations_text(answers: Answers, today: date) -> str:
    """Return the text of `organisations.toml`; without a client, an example."""
    name, domain = answers.organisation or ("Client SA", "client.example")
    table = _ORGANISATION.format(
        name=toml_text(name),
        domain=toml_text(domain),
        language=toml_text(answers.language),
        start=today.isoformat(),
    )
    return _ORGANISATIONS + (table if answers.organisation else _commented_out(table))


def agents_text(answers: Answers) -> str:
    """Return the text of `agents.toml`; without an agent, an example."""
    name, address = answers.agent or ("Anne Leroy", "anne.leroy@support.example")
    table = _AGENT.format(
        name=toml_text(name), address=toml_text(address), language=toml_text(answers.language)
    )
    return _AGENTS + (table if answers.agent else _commented_out(table))


def _commented_out(table: str) -> str:
    lines = table.splitlines()
    return "\n".join(line if line.startswith("#") else f"# {line}" for line in lines) + "\n"


def write_files(config: Path, answers: Answers, today: date, *, force: bool) -> list[Path]:
    """Write the three files and return their paths; with `force`, old ones are kept as `….old`.

    Raises ConfigError, before anything is written, where a file is there or an answer is wrong.
    """
    texts = {
        config: config_text(answers),
        config.parent / "organisations.toml": organisations_text(answers, today),
        config.parent / "agents.toml": agents_text(answers),
    }
    if not force:
        refuse_to_overwrite(config)
    config.parent.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        if path.exists():
            path.replace(path.with_name(path.name + ".old"))
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    return list(texts)


def refuse_to_overwrite(config: Path) -> None:
    """Raise ConfigError where one of the files is there already."""
    paths = (config, config.parent / "organisations.toml", config.parent / "agents.toml")
    there = [str(path) for path in paths if path.exists()]
    if there:
        verb = "is" if len(there) == 1 else "are"
        raise ConfigError(
            f"{', '.join(there)} {verb} there already; name another file with -c, or add --force "
            "(the old files are kept with .old at the end)"
        )


_CONFIG = """\
# The configuration of mailflow, written by `mailflow init`.
# Only what is likely to change stands here; config.example.toml explains every other key.
# After a change: `mailflow check`. Paths are relative to the folder of this file.

[support]
# Where clients write, and From of what they get.
address = {address}
name = {name}
# Ticket numbers look like MF-2026-000123.
reference_prefix = "MF"
# For clients whose own language has no templates.
default_language = {language}
# A sender without a contract: "hold" for an agent, "refuse" with a notice, or "accept".
unknown_sender = "hold"

# The mailbox that is read. The secret never stands here: password_env names an environment
# variable, password_file a file, password_command a command that prints the password, and
# oauth2_token_command one that prints an OAuth2 access token.
[imap]
{imap}
folder = "INBOX"
# Mails go there once they are stored; the folder is made if it is missing.
processed_folder = "Processed"
# How often to look where the server does not announce new mails (IDLE).
poll_seconds = 30
idle = true

# The server that takes our mails.
[smtp]
{smtp}

[database]
url = "sqlite:///mailflow.db"

[files]
organisations = "organisations.toml"
agents = "agents.toml"
# Folders of your own rules and templates, which go before the shipped ones file by file.
# rules = "rules"
# templates = "templates"

# What proves that a mail with commands is an agent's.
[trust]
# The first word of the Authentication-Results header that your mail server puts into mails.
{authserv_id}
# "dmarc" (your mail server checks; needs authserv_id), "dkim" (mailflow checks the signature
# itself), or "token-only" (weaker).
agent_proof = {agent_proof}
"""

_ORGANISATIONS = """\
# Who has a contract: one [[organisation]] for each client. Mails of others are held for an agent.

"""

_ORGANISATION = """\
[[organisation]]
name = {name}
# Mail domains; a domain covers its subdomains. Single addresses: addresses = ["a@b.example"].
domains = [{domain}]
language = {language}
# The first day of the contract, and the last one where it has one.
contract_start = {start}
# contract_end = 2030-12-31
"""

_AGENTS = """\
# Who answers tickets: one [[agent]] for each. Roles: "agent", "supervisor" (also hears of
# deadlines that come near), "observer" (reads only). At least one supervisor is wise.

"""

_AGENT = """\
[[agent]]
name = {name}
address = {address}
# The languages that the agent answers in; mailflow writes to the agent in the first.
languages = [{language}]
role = "supervisor"
# Hours of duty; left out: always. A day left out is free.
# on_duty = {{ monday = ["09:00-18:00"], tuesday = ["09:00-18:00"] }}
"""
