"""How far each session is at a server that it is pushed to, kept over restarts."""

from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path
from typing import Final

from stellarrow.storage.atomic import written_aside
from stellarrow.storage.private import private_file, private_folder

_SAVE_SECONDS: Final = 1.0  # between notes: what is behind them is pushed again, and dropped there
_MOST: Final = 1_000  # sessions of a table, the latest
_log: Final = logging.getLogger(__name__)


class Positions:
    """The last ledger that one endpoint acknowledged, by table and session. Any thread may call.

    One that is behind the truth costs a repetition, so it is not made durable each time.
    """

    def __init__(self, path: Path, endpoint: str) -> None:
        self._path = path
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._all = _loaded(path)
        self._held = self._all.setdefault(endpoint, {})
        self._due = 0.0

    def get(self, table: str, session: str) -> int | None:
        """Return a session's last ledger, None before the first."""
        with self._lock:
            return self._held.get(table, {}).get(session)

    def set(self, table: str, session: str, ledger: int) -> None:
        with self._lock:
            held = self._held.setdefault(table, {})
            held.pop(session, None)
            held[session] = ledger
            for oldest in list(held)[:-_MOST]:
                del held[oldest]
        if time.monotonic() >= self._due:
            self.save()

    def save(self) -> None:
        """Write them down, if there is room."""
        with self._lock:
            self._due = time.monotonic() + _SAVE_SECONDS
            try:
                private_folder(self._path.parent)
                with written_aside(self._path) as aside, private_file(aside, "x") as file:
                    json.dump(self._all, file, indent=1)
            except OSError as error:
                _log.warning("%s cannot be written (%s)", self._path, error.strerror)


def _loaded(path: Path) -> dict[str, dict[str, dict[str, int]]]:
    """Return what was noted; of a file that is cut, nothing: all is pushed again."""
    try:
        held = json.loads(path.read_text("utf-8"))
        return {
            str(endpoint): {
                str(table): {str(session): int(ledger) for session, ledger in sessions.items()}
                for table, sessions in tables.items()
            }
            for endpoint, tables in held.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
