"""What is known of mail providers, so that `mailflow init` need not ask for it.

Sources: the providers' own pages, named with each host in docs/mailboxes.md.
"""

from dataclasses import dataclass
from typing import Literal

Tls = Literal["tls", "starttls", "none"]
SecretKind = Literal["env", "file", "command", "oauth2"]
SECRET_KEYS: dict[SecretKind, str] = {
    "env": "password_env",
    "file": "password_file",
    "command": "password_command",
    "oauth2": "oauth2_token_command",
}
"""The key of `config.toml` for each place that a secret can come from."""


@dataclass(frozen=True, slots=True)
class Host:
    """A server to log in to."""

    host: str
    port: int
    tls: Tls = "tls"


@dataclass(frozen=True, slots=True)
class Preset:
    """A provider. `imap` and `smtp` are None where they have to be asked for.

    `secret` is what the provider wants; `advice` says it to a newcomer.
    """

    key: str
    title: str
    imap: Host | None
    smtp: Host | None
    secret: SecretKind
    advice: str
    agent_proof: Literal["dmarc", "dkim"] = "dmarc"
    authserv_id: str | None = None


PRESETS = (
    Preset(
        key="microsoft365",
        title="Microsoft 365 (Exchange Online)",
        imap=Host("outlook.office365.com", 993),
        smtp=Host("smtp.office365.com", 587, "starttls"),
        secret="oauth2",  # noqa: S106  (a kind of secret, not one)
        advice=(
            "Microsoft 365 takes no passwords here: it wants an OAuth2 token, and 'Authenticated "
            "SMTP' switched on for the mailbox. docs/mailboxes.md shows each step."
        ),
        agent_proof="dkim",  # its Authentication-Results names no server: see docs/mailboxes.md
    ),
    Preset(
        key="gmail",
        title="Gmail or Google Workspace",
        imap=Host("imap.gmail.com", 993),
        smtp=Host("smtp.gmail.com", 465),
        secret="oauth2",  # noqa: S106
        advice=(
            "Google takes an OAuth2 token, or an app password where the account has two-step "
            "verification; never the account's own password. docs/mailboxes.md shows each step."
        ),
        authserv_id="mx.google.com",
    ),
    Preset(
        key="ovh",
        title="OVHcloud MX Plan",
        imap=Host("ssl0.ovh.net", 993),
        smtp=Host("ssl0.ovh.net", 465),
        secret="env",  # noqa: S106
        advice=(
            "The user name is the whole address. Email Pro, Exchange and Zimbra mailboxes have "
            "other servers: see your OVHcloud control panel, and choose 'imap' here."
        ),
    ),
    Preset(
        key="infomaniak",
        title="Infomaniak",
        imap=Host("mail.infomaniak.com", 993),
        smtp=Host("mail.infomaniak.com", 465),
        secret="env",  # noqa: S106
        advice=(
            "The password is that of a device: Manager, Mail Service, the address, tab 'Devices', "
            "'Add a device'. It is not the one of your Infomaniak account."
        ),
    ),
    Preset(
        key="imap",
        title="Another mail server (plain IMAP and SMTP)",
        imap=None,
        smtp=None,
        secret="env",  # noqa: S106
        advice="Whoever runs the mail server knows host, port and encryption.",
    ),
)


def find_preset(key: str) -> Preset | None:
    """Return the preset of that key, or None."""
    return next((preset for preset in PRESETS if preset.key == key.strip().lower()), None)
