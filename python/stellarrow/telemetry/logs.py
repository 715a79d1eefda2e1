"""Log lines on stderr: JSON for machines, or plain for a console."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from stellarrow.net.redaction import redacted_text


@contextmanager
def written(level: str, form: str) -> Iterator[None]:
    """Write log lines of at least a level, as `json` or `console`, while the block lasts."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Plain("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("stellarrow")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


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
