"""A PostgreSQL server that tests stop, start, and whose sessions they end."""

import sqlalchemy

from tests.servers.postgresql import PostgreSQL


class FaultyPostgreSQL(PostgreSQL):
    """Databases are copies of one that was migrated, where `template` names it."""

    template = ""

    def new_database(self) -> str:
        """Return the URL of a new database."""
        if not self.template:
            return super().new_database()
        self._databases += 1
        name = f"desk{self._databases}"
        self._query(f"CREATE DATABASE {name} TEMPLATE {self.template}")
        return self._url(name)

    def use_as_template(self, url: str) -> None:
        """Copy the database at `url`, which nobody may be connected to, from now on."""
        self.template = str(sqlalchemy.make_url(url).database)

    def stop(self) -> None:
        """Stop the server as a crash would."""
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "-w", "stop")

    def start(self) -> None:
        """Start it again on the same port."""
        options = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        log = str(self._folder / "log")
        data = str(self._folder / "data")
        self._run("pg_ctl", "-D", data, "-o", options, "-l", log, "-w", "start")

    def end_sessions(self) -> None:
        """Terminate every session but our own."""
        self._query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )

    def _query(self, statement: str) -> None:
        engine = sqlalchemy.create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()
