"""The shape of `config.toml`: every key, its type, its default and what is refused."""

import ipaddress
import os
import subprocess
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mailflow.errors import ConfigError

SECRET_COMMAND_SECONDS = 30


class Section(BaseModel):
    """A table of the configuration: frozen, and no key that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _plain_address(value: str) -> str:
    """Return `value` in lower case if it is a bare address such as support@example.com."""
    local, _, domain = value.strip().partition("@")
    if not local or not all(domain.split(".")) or ("." not in domain and domain != "localhost"):
        raise ValueError("expected a mail address such as support@example.com")
    if any(character.isspace() or character in '<>,;"()@' for character in local + domain):
        raise ValueError("expected a bare mail address without name, brackets or spaces")
    return value.strip().lower()


class Support(Section):
    """Who we are to clients, and the manners of the desk."""

    address: str
    name: str = "Support"
    aliases: tuple[str, ...] = ()
    reference_prefix: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{0,9}$")] = "MF"
    default_language: Annotated[str, Field(pattern=r"^[a-z]{2}$")] = "fr"
    timezone: str = "Europe/Paris"
    unknown_sender: Literal["hold", "refuse", "accept"] = "hold"
    held_notice: bool = False
    plus_addressing: bool = False
    close_without_answer: bool = False
    max_automatic_mails_per_day: Annotated[int, Field(ge=1, le=1000)] = 10
    quotation_address: str | None = None

    @field_validator("address", "quotation_address")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return None if value is None else _plain_address(value)

    @field_validator("aliases")
    @classmethod
    def _aliases(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_plain_address(alias) for alias in value)

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError("expected a zone name such as Europe/Paris") from error
        return value

    @property
    def own_addresses(self) -> frozenset[str]:
        """Every address under which this desk itself writes."""
        return frozenset({self.address, *self.aliases})


class Server(Section):
    """A mail server to log in to; the secret comes from one of four places, never from here."""

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)]
    tls: Literal["tls", "starttls", "none"] = "tls"
    username: str | None = None
    password_env: str | None = None
    password_file: str | None = None
    password_command: str | None = None
    oauth2_token_command: str | None = None
    ca_file: str | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 30.0

    @model_validator(mode="after")
    def _one_secret(self) -> "Server":
        given = [name for name in SECRET_KEYS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(
                f"expected one of {', '.join(SECRET_KEYS)}, found {' and '.join(given)}"
            )
        if self.username is not None and not given:
            raise ValueError(f"username needs one of {', '.join(SECRET_KEYS)}")
        if self.tls == "none" and not _is_loopback(self.host):
            raise ValueError('tls = "none" is for loopback only: use "tls" or "starttls"')
        return self

    def secret(self) -> str:
        """Return the password or the OAuth2 token, read now so that a rotated one is seen.

        Raises ConfigError naming the key when it cannot be had.
        """
        if self.password_env is not None:
            value = os.environ.get(self.password_env)
            if not value:
                raise ConfigError(
                    f"password_env: the environment variable {self.password_env} is empty or "
                    f"not set; set it before starting, e.g. export {self.password_env}=…"
                )
            return value
        if self.password_file is not None:
            try:
                value = Path(self.password_file).read_text("utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(
                    f"password_file: cannot read {self.password_file}: {error}"
                ) from error
            if not value:
                raise ConfigError(
                    f"password_file: {self.password_file} is empty; write the secret into it"
                )
            return value
        command = self.password_command or self.oauth2_token_command
        if command is None:
            raise ConfigError(f"no secret is configured for {self.username}@{self.host}")
        return _run_secret_command(command)


SECRET_KEYS = ("password_env", "password_file", "password_command", "oauth2_token_command")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _run_secret_command(command: str) -> str:
    """Run the operator's own command through the shell; its first line is the secret."""
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            capture_output=True,
            text=True,
            timeout=SECRET_COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigError(
            f"password command took more than {SECRET_COMMAND_SECONDS} s: {command}"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"password command printed what is not UTF-8: {command}") from error
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines or not lines[0].strip():
        raise ConfigError(
            f"password command failed with exit code {done.returncode}: {command}; "
            "run it by hand, it must print the secret on its first line"
        )
    return lines[0].strip()


class Imap(Server):
    """The mailbox that is read."""

    port: Annotated[int, Field(ge=1, le=65535)] = 993
    folder: str = "INBOX"
    processed_folder: str | None = "Processed"
    after_processing: Literal["move", "flag"] = "move"
    poll_seconds: Annotated[float, Field(gt=0, le=86400)] = 30.0
    idle: bool = True

    @model_validator(mode="after")
    def _has_login(self) -> "Imap":
        if self.username is None:
            raise ValueError("username is required for a mailbox")
        if self.after_processing == "move" and not self.processed_folder:
            raise ValueError('after_processing = "move" needs a processed_folder')
        if self.processed_folder == self.folder:
            raise ValueError("processed_folder must differ from folder")
        return self


class Smtp(Server):
    """The server that takes our mails."""

    port: Annotated[int, Field(ge=1, le=65535)] = 465


class Journal(Server):
    """A mailbox that gets a copy of each outgoing mail, to look up what was sent."""

    address: str
    port: Annotated[int, Field(ge=1, le=65535)] = 993
    folder: str = "INBOX"
    settle_seconds: Annotated[float, Field(ge=1, le=3600)] = 30.0
    patience_seconds: Annotated[float, Field(ge=1)] = 900.0

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        return _plain_address(value)

    @model_validator(mode="after")
    def _has_login(self) -> "Journal":
        if self.username is None:
            raise ValueError("username is required for the journal's mailbox")
        return self


class Database(Section):
    """Where everything is kept."""

    url: str = "sqlite:///mailflow.db"


class Files(Section):
    """Files and folders beside the configuration; relative paths are relative to it."""

    organisations: Path = Path("organisations.toml")
    agents: Path = Path("agents.toml")
    rules: Path | None = None
    templates: Path | None = None
    model: Path | None = None


class Trust(Section):
    """What proves that a mail with a command really is an agent's."""

    authserv_id: str | None = None
    agent_proof: Literal["dmarc", "dkim", "token-only"] = "dmarc"


class Limits(Section):
    """Bounds that keep hostile or broken mail from harming the others."""

    max_mail_bytes: Annotated[int, Field(ge=10_000)] = 50_000_000
    parse_seconds: Annotated[float, Field(gt=0)] = 20.0
    parse_memory_mb: Annotated[int, Field(ge=64)] = 1024
    max_attachment_bytes: Annotated[int, Field(ge=0)] = 25_000_000
    max_attachments: Annotated[int, Field(ge=0)] = 50
    max_mails_per_sender_and_minute: Annotated[int, Field(ge=1)] = 30


class Logging(Section):
    """How the daemon speaks to the operator."""

    format: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(Section):
    """All of `config.toml`, checked, with absolute paths."""

    support: Support
    imap: Imap | None = None
    smtp: Smtp
    journal: Journal | None = None
    database: Database = Database()
    files: Files = Files()
    trust: Trust = Trust()
    limits: Limits = Limits()
    logging: Logging = Logging()
    path: Path = Path("config.toml")

    def require_imap(self) -> Imap:
        """Return the mailbox, or raise ConfigError where the file has none."""
        if self.imap is None:
            raise ConfigError(f"{self.path}: [imap] is missing; this command reads a mailbox")
        return self.imap
