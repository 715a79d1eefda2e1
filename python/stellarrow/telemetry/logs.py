"""Log lines on stderr: JSON for machines, or plain for a console."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from stellarrow.net.printable import one_line
from stellarrow.net.redaction import redacted_text
from stellarrow.telemetry import tracing

_OURS: Final = "stellarrow"
_QUIET_SECONDS: Final = 60.0  # between two lines of a library that say the same


LEVELS: Final = ("debug", "info", "warning", "error")


def level() -> str:
    """Return of how much weight a line must be at least."""
    return logging.getLevelName(logging.getLogger(_OURS).getEffectiveLevel()).lower()


def set_level(name: str) -> None:
    """Change that for the whole process, until it ends or is told otherwise."""
    logging.getLogger(_OURS).setLevel(name.upper())


@contextmanager
def written(level: str, form: str | None = None) -> Iterator[None]:
    """Write log lines of at least a level, as `json` or `console`, while the block lasts.

    Without a form it is console on a terminal, else JSON. Warnings of libraries and of
    Python, and what ends a thread, are written alike: no line is of another form.
    """
    handler = logging.StreamHandler(sys.stderr)
    form = form or ("console" if sys.stderr.isatty() else "json")
    handler.setFormatter(_Json() if form == "json" else _Plain("%(asctime)s %(levelname)s %(message)s"))
    handler.addFilter(_Brief())
    logger, root = logging.getLogger(_OURS), logging.getLogger()
    before, hook = logger.level, threading.excepthook
    root.addHandler(handler)
    logger.setLevel(level.upper())
    logging.captureWarnings(True)
    threading.excepthook = _log_thread
    try:
        yield
    finally:
        threading.excepthook = hook
        logging.captureWarnings(False)
        root.removeHandler(handler)
        logger.setLevel(before)


def _log_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
        name = ended.thread.name if ended.thread else "a thread"
        error = (ended.exc_type, ended.exc_value, ended.exc_traceback)
        logging.getLogger(_OURS).error("%s ended with an unexpected error", name, exc_info=error)


class _Brief(logging.Filter):
    """Lets through what we say; of libraries, warnings, the same no more than once a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] == _OURS:
            return True
        now, line = time.monotonic(), f"{record.name} {record.getMessage()}"
        if record.levelno < logging.WARNING or now - self._said.get(line, -_QUIET_SECONDS) < _QUIET_SECONDS:
            return False
        self._said = {one: at for one, at in self._said.items() if now - at < _QUIET_SECONDS} | {line: now}
        return True


class _Plain(logging.Formatter):
    """A line for people; what others wrote makes no line of its own, and moves no cursor."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={value}" for name, value in tracing.log_fields().items())
        return redacted_text(super().format(record)) + fields

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        record.message = one_line(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802  logging's name
        return "\n".join(one_line(line) for line in super().formatException(ei).split("\n"))


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        report = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted_text(record.getMessage()),
            **tracing.log_fields(),
        }
        if record.exc_info:
            report["error"] = redacted_text(self.formatException(record.exc_info))
        return json.dumps(report, default=str)
