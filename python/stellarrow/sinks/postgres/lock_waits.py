"""Saying what a writer waits for, where another session holds a lock it needs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final

import psycopg

from stellarrow.errors import StellarrowError
from stellarrow.sinks.postgres.server import Server

_FIRST_SECONDS: Final = 5.0  # writers of stellarrow hold their locks for less
_AGAIN_SECONDS: Final = 60.0
_BLOCKING: Final = """
    SELECT pid, coalesce(nullif(application_name, ''), 'no name'), usename, state,
           coalesce(extract(epoch FROM now() - xact_start), 0)::int
    FROM pg_stat_activity WHERE pid = ANY(pg_blocking_pids(%s))
"""
_log: Final = logging.getLogger(__name__)


class LockWaits:
    """Watches over calls that may wait for locks, and logs which sessions hold them up."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @contextmanager
    def told(self, backend: Callable[[], int | None]) -> Iterator[None]:
        """Look after a while whether the server process that `backend` names waits, and for whom."""
        ended = threading.Event()

        def look() -> None:
            wait = _FIRST_SECONDS
            while not ended.wait(wait):
                wait = _AGAIN_SECONDS
                if (number := backend()) is not None:
                    with suppress(psycopg.Error, StellarrowError):  # what is wrong, the call itself will say
                        self._tell(number)

        threading.Thread(target=look, name="stellarrow-lock-waits", daemon=True).start()
        try:
            yield
        finally:
            ended.set()

    def _tell(self, backend: int) -> None:
        with closing(self._server.connect()) as connection:
            rows = connection.execute(_BLOCKING, [backend]).fetchall()
        for pid, application, user, state, seconds in rows:
            _log.warning(
                "%s: waiting for a lock that session %d holds (%s, user %s, %s, in its transaction for %d s):"
                " this goes on when that one commits or ends",
                *(self._server.name, pid, application, user, state, seconds),
            )
