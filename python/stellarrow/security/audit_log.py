"""Who did what: one JSON line an event, each naming the digest of the line before.

A line that was changed, added in between or taken away breaks the chain, which `verify` finds. It does not
find that the end was cut off, or that the whole file was written anew: keep the digest it prints elsewhere.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from stellarrow.errors import ConfigError, Damaged
from stellarrow.net.redaction import redacted_url
from stellarrow.storage.paths import local_path
from stellarrow.storage.private import private_file, private_folder

BEGINNING: Final = "0" * 64  # what the first line names
_LONGEST_LINE: Final = 1 << 20  # bytes: no event of ours has as many
_LONGEST: Final = 200  # characters of a text that a caller chose
_TAIL_BYTES: Final = 32 << 10
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened: who did what to what, from where, and with which result."""

    event: str
    principal: str
    method: str
    address: str
    target: str = ""
    result: str
    request_id: str


class Audit(Protocol):
    """Where events go."""

    def record(self, event: Event, /) -> None:
        """Keep an event; what hinders that is logged, and hinders no call."""

    def close(self) -> None:
        """Let go of the file."""


class NoAudit:
    """Keeps nothing."""

    def record(self, event: Event, /) -> None:
        """Keep nothing."""

    def close(self) -> None:
        """Hold nothing."""


class AuditLog:
    """A file of events; services of one machine may share it. `-` is standard output."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._lock = threading.Lock()
        self._path = local_path(path)
        self._file: BinaryIO | None = None
        self._last = BEGINNING
        self._end = 0
        if str(path) == "-":
            return
        if "://" in str(path):
            raise ConfigError(f"{redacted_url(str(path))} is a URL: an audit log is a file of this machine")
        try:
            private_folder(self._path.parent)
            self._file = private_file(self._path, "ab+", buffering=0)
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be written ({error.strerror}): choose another place with --audit-log"
            ) from error

    def record(self, event: Event, /) -> None:
        try:
            with self._lock:
                self._write(event)
        except (OSError, ValueError) as error:  # the latter where it is closed
            _log.error("the audit log %s cannot be written (%s): %s", self._path, error, event.event)

    def close(self) -> None:
        with self._lock:
            if self._file:
                self._file.close()

    def _write(self, event: Event) -> None:
        if self._file is None:
            line = _line(event, self._last)
            self._last = _digest(line)
            sys.stdout.write(line.decode() + "\n")
            sys.stdout.flush()
            return
        fcntl.flock(self._file, fcntl.LOCK_EX)  # of the services that share the file, one at a time
        try:
            end = os.fstat(self._file.fileno()).st_size
            cut = b""
            if end != self._end:
                self._last, cut = _read_last(self._file, end)
            line = _line(event, self._last)
            self._file.write(cut + line + b"\n")
            os.fsync(self._file.fileno())
            self._last, self._end = _digest(line), end + len(cut) + len(line) + 1
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)


def _read_last(file: BinaryIO, end: int) -> tuple[str, bytes]:
    """Return the digest of the last line, and what ends it where a crash has cut it off."""
    if end == 0:
        return BEGINNING, b""
    tail = os.pread(file.fileno(), _TAIL_BYTES, max(0, end - _TAIL_BYTES))
    cut = b"" if tail.endswith(b"\n") else b"\n"
    return _digest(tail.rstrip(b"\n").rpartition(b"\n")[2]), cut


@dataclass(frozen=True, slots=True)
class Verified:
    """What a log is: how many lines, and the digest of the last, which the next one would name."""

    lines: int
    head: str


def verify(path: Path, *, must_have: str | None = None) -> Verified:
    """Read a whole log; Damaged where the chain is broken, or lacks a digest that it had before."""
    expected, lines = BEGINNING, 0
    is_there = must_have in (None, BEGINNING)
    try:
        with path.open("rb") as file:
            for lines, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), 1):
                expected = _checked(path, lines, line, expected)
                is_there = is_there or expected == must_have
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): name the audit log") from error
    if not is_there:
        raise Damaged(
            f"{path} has no line with the digest {must_have}: its end was cut off, or it is another"
        )
    return Verified(lines, expected)


def _checked(path: Path, number: int, line: bytes, expected: str) -> str:
    try:
        named = json.loads(line)["previous"]
    except (ValueError, KeyError, TypeError) as error:
        what = "was cut off, as by a crash" if not line.rstrip().endswith(b"}") else "is no event"
        raise Damaged(f"{path}: line {number} {what}: compare it with a copy") from error
    if named != expected:
        raise Damaged(
            f"{path}: line {number} does not follow the one before: a line was changed, added or taken away"
        )
    return _digest(line.rstrip(b"\n"))


def _line(event: Event, previous: str) -> bytes:
    report: dict[str, Any] = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "event": event.event,
        "principal": event.principal[:_LONGEST],
        "method": event.method[:_LONGEST],
        "address": event.address[:_LONGEST],
        "target": event.target[:_LONGEST],
        "result": event.result[:_LONGEST],
        "request_id": event.request_id,
        "previous": previous,
    }
    return json.dumps(report).encode()  # ASCII: a line break or an escape of a caller's is written \n


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
