"""Connections to PostgreSQL, and what its errors mean in ours."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import conninfo, errors

from stellarrow.errors import ConfigError, LedgersRefused, SchemaMismatch, SinkError, SinkUnavailable
from stellarrow.net.redaction import MASK
from stellarrow.protocols import Health

# A cut connection is noticed within half a minute; the user's own choices win.
_log: Final = logging.getLogger(__name__)
_PATIENCE: Final = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "application_name": "stellarrow",
}

# What may pass by itself; classes of SQLSTATE are told apart by their first two characters.
_PASSING: Final = frozenset(("08", "40", "53300", "55P03", "57P01", "57P02", "57P03", "57P05"))
_LAYOUT: Final = frozenset(("22P03", "22P04", "42703", "42P01", "42804", "42883", "42P10", "23514", "428C9"))
_VALUES: Final = frozenset(("22", "54"))  # a datum, a limit: nothing but the rows is wrong
_REMEDIES: Final = {
    "28P01": "set the right password in the URL or PGPASSWORD",
    "28000": "use a user and a database that pg_hba.conf lets in",
    "3D000": "create the database first (createdb), or name another",
    "42501": "grant what is missing (docs/postgres.md lists it), or use another user",
    "25006": "write to the primary, not to a read-only or standby server",
    "57014": "raise statement_timeout for this user",
    "53100": "make room on the server's disk",
    "53200": "give the server more memory, or write smaller batches",
    "23505": "rows that ledger_coverage does not know were put there by hand: remove them",
}


class Server:
    """One PostgreSQL database, named by a URL or a libpq connection string."""

    def __init__(self, url: str) -> None:
        try:
            parts = {name: value for name, value in conninfo.conninfo_to_dict(url).items() if value}
            for port in str(parts.get("port", "")).split(","):
                int(port or 0)
        except (psycopg.ProgrammingError, ValueError) as error:
            # libpq repeats what it cannot read, which may be the password.
            reason = re.split(r"[\"':]", _first_line(error))[0].strip()
            raise ConfigError(f"the database URL cannot be read ({reason}): {_FORM}") from None
        self._conninfo = conninfo.make_conninfo("", **{**_PATIENCE, **parts})
        place = f"{parts.get('host', 'the local socket')}:{parts.get('port', '5432')}"
        login, at, database = str(parts.get("dbname", "")).rpartition("@")
        # Behind an @ stands what was meant as the host: the password before it holds a slash.
        self.name = f"PostgreSQL {(MASK + at if login else '') + database!r} at {place}"

    def connect(self) -> psycopg.Connection:
        """Open a connection whose statements commit unless they are in a transaction block."""
        with self.translate_errors("connect to"):
            connection = psycopg.connect(self._conninfo, autocommit=True)
        connection.prepare_threshold = None  # poolers hand sessions on between transactions
        return connection

    def shares_sessions(self) -> bool:
        """Tell whether a pooler between gives one session to several clients, statement by statement."""
        with self.translate_errors("look at"), self.connect() as one:
            if one.info.backend_pid == _session(one):
                return False  # what answers is the server itself
            with self.connect() as other:
                seen = [(_session(one), _session(other)) for _ in range(_ATTEMPTS)]
        first, second = ({pids[which] for pids in seen} for which in (0, 1))
        return len(first) > 1 or len(second) > 1 or bool(first & second)

    def agreed_mode(self, mode: str) -> str:
        """Return how to write: nothing is loaded bare where a pooler hands sessions on.

        The locks of loaders would stay behind there.
        """
        if mode == "live" or not self.shares_sessions():
            return mode
        if mode == "backfill":
            raise ConfigError(
                f"{self.name} is behind a pooler that shares sessions between clients, so no partition can be"
                " loaded bare: connect to the server itself, let the pooler pool by session, or write"
                " ?mode=live"
            )
        _log.warning("%s is behind a pooler that shares sessions: writing as in mode=live", self.name)
        return "live"

    def health(self, *, oldest: int) -> Health:
        """Say whether this user could make tables and write; `oldest` is the first version that will do."""
        with self.connect() as connection, self.translate_errors("ask"):
            began = time.monotonic()
            connection.execute("SELECT 1")
            latency = (time.monotonic() - began) * 1000
            row = connection.execute(
                "SELECT current_setting('server_version_num')::int / 10000, pg_is_in_recovery(),"
                " has_database_privilege(current_database(), 'CREATE')"
            ).fetchone()
        version, standby, may_create = row or (0, False, False)
        if standby:
            return Health("broken", "is a standby, which takes no writes: name the primary")
        if version < oldest // 10_000:
            wanted = oldest // 10_000
            return Health("broken", f"is PostgreSQL {version}: update it to {wanted} or newer")
        if not may_create:
            return Health("broken", "lets this user create no schema: GRANT CREATE ON DATABASE to it")
        return Health("ok", f"version {version}, this user may write", latency_ms=latency)

    @contextmanager
    def translate_errors(self, doing: str) -> Iterator[None]:
        """Translate what libpq or the server refuses."""
        try:
            yield
        except psycopg.Error as error:
            raise self._translated(doing, error) from error

    def _translated(self, doing: str, error: psycopg.Error) -> SinkError:
        reason = _first_line(error)
        state = error.sqlstate or ""
        said = f"cannot {doing} {self.name} ({reason})"
        if state in _PASSING or state[:2] in _PASSING:
            return SinkUnavailable(f"{said}: run the same again when it is back")
        if state in _LAYOUT:
            return SchemaMismatch(
                f"{said}: its tables were changed by hand, undo that or use another database"
            )
        if not state and isinstance(error, psycopg.OperationalError | errors.InterfaceError):
            return self._unreached(said, reason)
        if state[:2] in _VALUES:
            return LedgersRefused(f"{said}: PostgreSQL cannot hold that value")
        return SinkError(f"{said}: {_REMEDIES.get(state, 'fix that')}, then run the same again")

    def _unreached(self, said: str, reason: str) -> SinkError:
        """Tell a refusal at the door, which libpq gives no code, from a server that is away."""
        for words, state in _DOOR.items():
            if words in reason:
                return SinkError(f"{said}: {_REMEDIES.get(state, state)}, then run the same again")
        return SinkUnavailable(f"{said}: start the server or check the address, then run the same again")


def _session(connection: psycopg.Connection) -> int:
    """Return the process of the server that works for a connection now."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return int(row[0]) if row else 0


_ATTEMPTS: Final = 8  # statements of two clients by turns; a pooler gives both the session last set free
_FORM: Final = "write postgres://USER:PASSWORD@HOST:PORT/DATABASE"
_DOOR: Final = {
    "password authentication failed": "28P01",
    "no password supplied": "28P01",
    "no pg_hba.conf entry": "28000",
    "does not exist": "3D000",
    "permission denied for database": "42501",
    "certificate verify failed": "give the right CA in sslrootcert",
    "does not match host name": "connect by a name that its certificate carries",
    "root certificate file": "name the CA's file in sslrootcert",
    "does not support SSL": "turn TLS on at the server, or choose another sslmode",
}


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
