"""A Dovecot whose mailboxes hold few mails. It has no MOVE: a move within a mailbox adds nothing."""

import itertools
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.servers.boxes import Box, with_crlf
from tests.servers.certificates import Certificates
from tests.servers.dovecot import MAIL_USER, Dovecot, find_dovecot

QUOTA_MAILS = 12
_SETTINGS = f"""\
mail_plugins = quota
plugin {{
  quota = count:User quota
  quota_rule = *:messages={QUOTA_MAILS}
  quota_vsizes = yes
}}
"""
_numbers = itertools.count(1)


def has_quota() -> bool:
    """Whether Dovecot and its quota plugin are here."""
    return find_dovecot() is not None and any(Path("/usr/lib/dovecot").rglob("*_quota_plugin.so"))


@dataclass(frozen=True)
class DroppedBox(Box):
    """New mails are put into the Maildir itself, whatever the quota."""

    maildir: Path = Path()

    def deliver(self, *mails: bytes) -> None:
        """Put mails into the folder."""
        place = self.maildir / f".{self.folder}" / "new"
        for mail in mails:
            number = next(_numbers)
            draft = self.maildir / f"draft{number}"
            draft.write_bytes(with_crlf(mail))
            if os.getuid() == 0:
                shutil.chown(draft, MAIL_USER)
            draft.rename(place / f"{number}.dropped.test")


class QuotaDovecot(Dovecot):
    """A server whose users may have `QUOTA_MAILS` mails each."""

    def __init__(self, certificates: Certificates) -> None:
        can = "IMAP4rev1 LITERAL+ UIDPLUS IDLE NAMESPACE UNSELECT"
        super().__init__(certificates, {"imap_capability": can})

    def add_box(self) -> Box:
        """Make a user with the two folders of a desk."""
        user = self.add_user()
        box = DroppedBox(self.port, user, "Support", "Processed", "dovecot", self.maildir(user))
        with box.session() as client:
            client.create_folder(box.folder)
        return box

    def _config(self) -> str:
        return super()._config() + _SETTINGS
