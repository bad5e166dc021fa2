"""Questions on a terminal, or their answers from options; each answer is checked at once."""

import re
from collections.abc import Callable
from typing import Any, cast, get_args

import typer
from pydantic import ValidationError

from mailflow.adapters.directory import OrganisationForm
from mailflow.data import shipped_folder
from mailflow.presets import PRESETS, Host, Preset, SecretKind, Tls, find_preset
from mailflow.settings import Support

Check = Callable[[str], str]
SECRET_QUESTIONS: dict[SecretKind, tuple[str, str | None]] = {
    "env": ("Name of the environment variable with the password", "MAILFLOW_PASSWORD"),
    "file": ("File with the password", "mailflow.secret"),
    "command": ("Command that prints the password, such as 'pass show mail/support'", None),
    "oauth2": (
        "Command that prints an OAuth2 token, such as '/usr/local/bin/mailflow-token'",
        None,
    ),
}


class Questions:
    """Asks what the options do not answer; with `yes` it takes the defaults instead."""

    def __init__(self, yes: bool) -> None:
        self.yes = yes

    def __call__(
        self, option: str, given: str | None, question: str, default: str | None = None, *,
        check: Check,
    ) -> str:  # fmt: skip
        """Return the checked answer. Raises BadParameter for an option that is wrong or missing."""
        if given is not None:
            return _checked(check, given, option)
        if not self.yes:
            answer: str = typer.prompt(
                question,
                default=default,
                show_default=bool(default),
                value_proc=lambda value: _checked(check, value),
            )
            return answer
        if default is None:
            raise typer.BadParameter(f"with --yes, {option} has to be given")
        return _checked(check, default, option)

    def host(
        self,
        protocol: str,
        known: Host | None,
        host: str | None,
        port: int | None,
        tls: str | None,
        mail: str,
    ) -> Host:
        """Return the server: from the preset, or asked for where it does not know; options win."""
        if known is None or (host, port, tls) != (None, None, None):
            ports = {"imap": {"tls": 993}, "smtp": {"tls": 465, "starttls": 587}}[protocol]
            guess = known.host if known else f"{protocol}.{mail.rpartition('@')[2]}"
            name = protocol.upper()
            found = self(f"--{protocol}-host", host, f"{name} server", guess, check=text)
            way = self(
                f"--{protocol}-tls",
                tls,
                f"{name} encryption: tls, starttls or none",
                known.tls if known else "tls",
                check=encryption,
            )
            usual = known.port if known else ports.get(way, 143 if protocol == "imap" else 25)
            number = self(
                f"--{protocol}-port",
                None if port is None else str(port),
                f"{name} port",
                str(usual),
                check=port_number,
            )
            return Host(found, int(number), cast(Tls, way))
        return known

    def secret(self, preset: Preset, kind: str | None, value: str | None) -> tuple[SecretKind, str]:
        """Return where the secret comes from: the kind, and the variable, file or command."""
        question = "Where does the password come from: env, file, command or oauth2"
        chosen = cast(
            SecretKind, self("--secret", kind, question, preset.secret, check=secret_kind)
        )
        words, default = SECRET_QUESTIONS[chosen]
        check = variable if chosen == "env" else text
        return chosen, self("--secret-value", value, words, default, check=check)

    def pair(
        self, noun: str, other: str, given: tuple[str | None, str | None], title: str, check: Check
    ) -> tuple[str, str] | None:
        """Return a name and its address or domain; None where the name is left empty."""
        name = self(
            f"--{noun}-name", given[0], f"{title}'s name (empty: later)", "", check=str.strip
        )
        if not name and given[1] is None:
            return None
        value = self(f"--{noun}-{other}", given[1], f"{title}'s {other}", check=check)
        return name or value, value


def _checked(check: Check, value: str, option: str | None = None) -> str:
    try:
        return check(value)
    except ValueError as error:
        raise typer.BadParameter(f"{option}: {error}" if option else str(error)) from error


def text(value: str) -> str:
    """Anything but nothing, on one line."""
    if not value.strip() or not value.strip().isprintable():
        raise ValueError("expected a text of one line")
    return value.strip()


def address(value: str) -> str:
    """A bare mail address."""
    try:
        return Support(address=value).address
    except ValidationError as error:
        raise ValueError(_message(error)) from error


def domain(value: str) -> str:
    """A mail domain."""
    try:
        return OrganisationForm(name="x", domains=(value,)).domains[0]
    except ValidationError as error:
        raise ValueError(_message(error)) from error


def language(value: str) -> str:
    """A language that has templates."""
    known = sorted(file.parent.name for file in shipped_folder("templates").glob("*/words.toml"))
    if value.strip().lower() not in known:
        raise ValueError(f"expected one of {', '.join(known)}")
    return value.strip().lower()


def preset_key(value: str) -> str:
    """The key of a provider."""
    found = find_preset(value)
    if found is None:
        raise ValueError(f"expected one of {', '.join(each.key for each in PRESETS)}")
    return found.key


def secret_kind(value: str) -> str:
    """A place that a secret can come from."""
    return _one_of(value, get_args(SecretKind))


def encryption(value: str) -> str:
    """A way to encrypt a connection."""
    return _one_of(value, get_args(Tls))


def port_number(value: str) -> str:
    """A TCP port."""
    if not value.strip().isascii() or not value.strip().isdigit() or not 1 <= int(value) <= 65535:
        raise ValueError("expected a number from 1 to 65535")
    return value.strip()


def variable(value: str) -> str:
    """The name of an environment variable, in case somebody types the password itself."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value.strip()) is None:
        raise ValueError("expected a variable's name such as MAILFLOW_PASSWORD, not the password")
    return value.strip()


def _one_of(value: str, known: tuple[Any, ...]) -> str:
    if value.strip().lower() not in known:
        raise ValueError(f"expected one of {', '.join(known)}")
    return value.strip().lower()


def _message(error: ValidationError) -> str:
    return str(error.errors()[0]["msg"]).removeprefix("Value error, ")
