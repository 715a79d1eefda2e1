"""Log lines on stderr: JSON for machines, or plain for a console."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from stellarrow.net.redaction import redacted_text


@contextmanager
def written(level: str, form: str) -> Iterator[None]:
    """Write log lines of at least a level, as `json` or `console`, while the block lasts.

    So are warnings and errors of libraries, Python's warnings, and what ends a thread: no line is of another
    form.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Plain("%(asctime)s %(levelname)s %(message)s"))
    every, ours = logging.getLogger(), logging.getLogger("stellarrow")
    before = ours.level
    hook = threading.excepthook
    every.addHandler(handler)
    ours.setLevel(level.upper())
    logging.captureWarnings(True)
    threading.excepthook = _log_thread
    try:
        yield
    finally:
        threading.excepthook = hook
        logging.captureWarnings(False)
        every.removeHandler(handler)
        ours.setLevel(before)


def _log_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
        name = ended.thread.name if ended.thread else "a thread"
        error = (ended.exc_type, ended.exc_value, ended.exc_traceback)
        logging.getLogger("stellarrow").error("%s ended with an unexpected error", name, exc_info=error)


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redacted_text(super().format(record))


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        report = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted_text(record.getMessage()),
        }
        if record.exc_info:
            report["error"] = redacted_text(self.formatException(record.exc_info))
        return json.dumps(report, default=str)
