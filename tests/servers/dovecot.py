"""A real Dovecot in a folder of its own: plain with STARTTLS on one port, TLS on another."""

import grp
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from mailflow.demo.servers import PASSWORD, free_port, wait_for_port
from tests.servers.certificates import Certificates

MISSING = (
    "Debian's dovecot-imapd is not installed: run scripts/install-test-servers.sh "
    "(or: apt-get install dovecot-imapd)"
)
MAIL_USER = "nobody"
STOP_SECONDS = 10.0

_CONFIG = """\
protocols = imap
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
instance_name = {name}
listen = 127.0.0.1
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
ssl = yes
ssl_cert = <{certificates.certificate}
ssl_key = <{certificates.key}
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:~/Maildir
first_valid_uid = 1
mail_max_userip_connections = 50
maildir_broken_filename_sizes = yes
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users/%u
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users/%u
}}
auth_failure_delay = 0
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  process_min_avail = 1
  service_count = 0
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
protocol imap {{
{imap}
}}
"""


def find_dovecot() -> str | None:
    """Return the path of the server program, or None."""
    return shutil.which("dovecot", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


class Dovecot:
    """A server for a test run. Each test takes a user of its own; `restart` keeps the mails.

    `imap` adds settings of the IMAP protocol: {"imap_capability": "IMAP4rev1 IDLE"}.
    """

    def __init__(self, certificates: Certificates, imap: Mapping[str, str] | None = None) -> None:
        program = find_dovecot()
        if program is None:
            raise FileNotFoundError(MISSING)
        self._program = program
        self._certificates = certificates
        self._imap = dict(imap or {})
        self._users = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path()
        self.port = free_port()
        self.tls_port = free_port()

    def __enter__(self) -> "Dovecot":
        # a short path that another user may enter: sockets lie in it, and mails of MAIL_USER
        self.folder = Path(tempfile.mkdtemp(prefix="mf-dovecot-"))
        self.folder.chmod(0o755)
        (self.folder / "users").mkdir()
        (self.folder / "dovecot.conf").write_text(self._config(), "utf-8")
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [self._program, "-F", "-c", str(self.folder / "dovecot.conf")]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a process group of its own
        )
        wait_for_port(self.port, "dovecot", self._process)

    def stop(self) -> None:
        """Stop the server and all its sessions."""
        process, self._process = self._process, None
        if process is None:
            return
        os.killpg(process.pid, signal.SIGTERM)  # the sessions too: they would outlive the master
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def restart(self) -> None:
        """End all sessions; the mails stay."""
        self.stop()
        self.start()

    def add_user(self) -> str:
        """Make a user with an empty mailbox and the password of the test servers."""
        name = f"user{next(self._users)}"
        home = self.folder / "homes" / name
        home.mkdir(parents=True)
        owner = (os.getuid(), os.getgid())
        if owner[0] == 0:
            shutil.chown(home, MAIL_USER)
            owner = (home.stat().st_uid, home.stat().st_uid)
        entry = f"{name}:{{PLAIN}}{PASSWORD}:{owner[0]}:{owner[1]}::{home}\n"
        # a file for each user: a common one is read again only when its second of change differs
        (self.folder / "users" / name).write_text(entry, "utf-8")
        return name

    def maildir(self, user: str) -> Path:
        """Return the folder in which the user's mails lie."""
        return self.folder / "homes" / user / "Maildir"

    def log(self) -> str:
        """Return what the server logged, to show why a test failed."""
        path = self.folder / "dovecot.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def _config(self) -> str:
        is_root = os.getuid() == 0
        mine = _name_of_user()
        return _CONFIG.format(
            folder=self.folder,
            name=self.folder.name,
            internal="dovecot" if is_root else mine,
            internal_group="dovecot" if is_root else _name_of_group(),
            login="dovenull" if is_root else mine,
            certificates=self._certificates,
            port=self.port,
            tls_port=self.tls_port,
            imap="\n".join(f"  {key} = {value}" for key, value in self._imap.items()),
        )


def _name_of_user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _name_of_group() -> str:
    return grp.getgrgid(os.getgid()).gr_name
