"""`mailflow init`: a few questions, then a configuration that is tried at once."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mailflow.cli.check import print_rows, try_everything
from mailflow.cli.common import DEFAULT_CONFIG, ConfigOption, console
from mailflow.cli.questions import Questions, address, domain, language, preset_key, text
from mailflow.errors import ConfigError
from mailflow.presets import PRESETS, Preset, find_preset
from mailflow.services.check_rows import Result, Row
from mailflow.services.set_up import Answers, refuse_to_overwrite, write_files

Text = str | None


def register(app: typer.Typer) -> None:
    """Add this module's command to `app`."""
    app.command("init")(init)


def init(
    config: ConfigOption = DEFAULT_CONFIG,
    preset: Annotated[
        Text, typer.Option(help="microsoft365, gmail, ovh, infomaniak or imap.")
    ] = None,
    address_: Annotated[Text, typer.Option("--address", help="The support address.")] = None,
    name: Annotated[Text, typer.Option(help="The name beside it.")] = None,
    language_: Annotated[Text, typer.Option("--language", help="fr or en.")] = None,
    user: Annotated[Text, typer.Option(help="The user name of the mailbox.")] = None,
    secret: Annotated[
        Text, typer.Option(help="Where the password comes from: env, file, command or oauth2.")
    ] = None,
    secret_value: Annotated[
        Text, typer.Option(help="The variable's name, the file or the command; never a password.")
    ] = None,
    imap_host: Annotated[Text, typer.Option(help="Where the preset does not know it.")] = None,
    imap_port: Annotated[int | None, typer.Option(min=1, max=65535)] = None,
    imap_tls: Annotated[Text, typer.Option(help="tls, starttls, or none on this machine.")] = None,
    smtp_host: Annotated[Text, typer.Option(help="Where the preset does not know it.")] = None,
    smtp_port: Annotated[int | None, typer.Option(min=1, max=65535)] = None,
    smtp_tls: Annotated[Text, typer.Option(help="tls, starttls, or none on this machine.")] = None,
    smtp_login: Annotated[bool, typer.Option(help="Log in to send mails.")] = True,
    authserv_id: Annotated[
        Text, typer.Option(help="Your mail server's name in Authentication-Results.")
    ] = None,
    agent_name: Annotated[Text, typer.Option(help="The first agent.")] = None,
    agent_address: Annotated[Text, typer.Option(help="The first agent's own address.")] = None,
    organisation_name: Annotated[Text, typer.Option(help="The first client.")] = None,
    organisation_domain: Annotated[Text, typer.Option(help="The first client's domain.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; take defaults.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that are there; they are kept as .old.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not try the mail servers.")
    ] = False,
) -> None:
    """Ask a few questions, write config.toml, organisations.toml and agents.toml, and try them.

    No password is asked for or written: the configuration says where it comes from.
    The exit code is 0 once the files are written; `mailflow check` judges them.

    Examples:

      mailflow init

      mailflow init --preset ovh --address support@example.com --yes
    """
    ask = Questions(yes)
    try:
        if not force:
            refuse_to_overwrite(config)
        chosen = _preset(ask, preset)
        console.print(chosen.advice, style="cyan", highlight=False)
        mail = ask("--address", address_, "Support address", check=address)
        shown = ask("--name", name, "Name that clients see beside it", "Support", check=text)
        spoken = ask("--language", language_, "Language, fr or en", "fr", check=language)
        imap = ask.host("imap", chosen.imap, imap_host, imap_port, imap_tls, mail)
        smtp = ask.host("smtp", chosen.smtp, smtp_host, smtp_port, smtp_tls, mail)
        username = ask("--user", user, "User name of the mailbox", mail, check=text)
        kind, value = ask.secret(chosen, secret, secret_value)
        server_id = _authserv_id(ask, chosen, authserv_id)
        agent = ask.pair(
            "agent", "address", (agent_name, agent_address), "First agent", check=address
        )
        client = ask.pair(
            "organisation",
            "domain",
            (organisation_name, organisation_domain),
            "First client",
            check=domain,
        )
        answers = Answers(
            address=mail,
            name=shown,
            language=spoken,
            imap=imap,
            smtp=smtp,
            username=username,
            secret=kind,
            secret_value=value,
            agent_proof="dmarc" if server_id else "dkim",
            authserv_id=server_id,
            agent=agent,
            organisation=client,
            smtp_login=smtp_login,
        )
        written = write_files(config, answers, datetime.now(UTC).date(), force=force)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error
    console.print()
    for path in written:
        console.print(f"written: {path}", markup=False, highlight=False)
    console.print()
    rows = try_everything(config, offline=offline)
    print_rows(rows)
    _say_what_next(config, answers, rows)


def _preset(ask: Questions, given: str | None) -> Preset:
    if given is None and not ask.yes:
        console.print("Who runs the mailbox?", style="bold")
        for each in PRESETS:
            console.print(f"  {each.key:<14}{each.title}", markup=False, highlight=False)
    found = find_preset(ask("--preset", given, "Provider", "imap", check=preset_key))
    assert found is not None  # noqa: S101  (preset_key has seen to it)
    return found


def _authserv_id(ask: Questions, preset: Preset, given: str | None) -> str | None:
    """DMARC needs the name; without one, mailflow checks DKIM signatures itself."""
    if given is None and (preset.authserv_id or preset.agent_proof == "dkim"):
        return preset.authserv_id
    question = "First word of Authentication-Results in mails that you get (empty if unknown)"
    return ask("--authserv-id", given, question, "", check=str.strip) or None


def _say_what_next(config: Path, answers: Answers, rows: list[Row]) -> None:
    """Number the steps that are left, in order."""
    value = answers.secret_value
    get_ready = {
        "env": f"give the password to mailflow: export {value}='…'",
        "file": f"put the password into {config.parent / value}, readable by you only: "
        f"install -m 600 /dev/null {config.parent / value}, then open it in an editor",
        "command": f"see that this command prints the password: {value}",
        "oauth2": f"see that this command prints a token (docs/mailboxes.md): {value}",
    }
    steps = []
    if any(row.check == "Secrets" and row.result is not Result.HOLDS for row in rows):
        steps.append(get_ready[answers.secret])
    empty = [
        str(config.parent / name)
        for name, first in (
            ("agents.toml", answers.agent),
            ("organisations.toml", answers.organisation),
        )
        if first is None
    ]
    if empty:
        steps.append(f"fill in {' and '.join(empty)}")
    if any(row.result in (Result.FAILED, Result.SKIPPED) for row in rows):
        steps.append(f"try again until nothing is left to mend: mailflow check -c {config}")
    steps.append(f"start it: mailflow run -c {config}")
    console.print("\nWhat next", style="bold")
    for number, step in enumerate(steps, start=1):
        console.print(f"  {number}. {step}", markup=False, highlight=False, soft_wrap=True)
