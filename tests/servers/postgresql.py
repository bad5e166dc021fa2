"""A PostgreSQL server of the tests' own: a new cluster in a temporary folder, on loopback."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

import sqlalchemy

from mailflow.demo.servers import free_port

MISSING = (
    "PostgreSQL 15 is not installed: run scripts/install-test-servers.sh "
    "(or: apt-get install postgresql-15)"
)
SERVER_USER = "postgres"  # it refuses to run as root


def find_postgresql() -> Path | None:
    """Return the folder with initdb and pg_ctl, or None."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), reverse=True)
    if versions:
        return versions[0].parent
    found = shutil.which("pg_ctl")
    return Path(found).parent if found else None


class PostgreSQL:
    """A cluster that lives as long as the block."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="mailflow-pg-"))
        self._databases = 0

    def __enter__(self) -> "PostgreSQL":
        if os.geteuid() == 0:
            user = pwd.getpwnam(SERVER_USER)
            os.chown(self._folder, user.pw_uid, user.pw_gid)
        data = self._folder / "data"
        self._run("initdb", "-D", str(data), "-A", "trust", "-U", "mailflow", "-E", "UTF8")
        options = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run(
            "pg_ctl", "-D", str(data), "-o", options, "-l", str(self._folder / "log"), "-w", "start"
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def new_database(self) -> str:
        """Return the URL of a new, empty database."""
        self._databases += 1
        name = f"desk{self._databases}"
        engine = sqlalchemy.create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql+psycopg://mailflow@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid", SERVER_USER, "--regid", SERVER_USER, "--clear-groups",
                       *command]  # fmt: skip
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        subprocess.run(
            command,
            check=True,
            cwd=self._folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
