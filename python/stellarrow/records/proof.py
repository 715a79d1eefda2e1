"""Whether a place really compares before it writes: some object stores ignore If-Match without a word."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final
from uuid import uuid4

from stellarrow.errors import SinkError, StellarrowError
from stellarrow.records.record import Records, amend

_FOLDER: Final = "probes"
_WRITERS: Final = 4
_CHANGES: Final = 8  # of each


def prove(records: Records) -> None:
    """Write, replace and remove a record of our own; SinkError where a stale write was taken."""
    key = f"{_FOLDER}/{uuid4().hex}"
    try:
        first = records.replace(key, b"first", of=None)
        if first is None:
            raise _untrue(records, "refuses to write where there is nothing")
        if records.replace(key, b"first again", of=None) is not None:
            raise _untrue(records, "writes over what is there though told not to (If-None-Match)")
        second = records.replace(key, b"second", of=first)
        if second is None:
            raise _untrue(records, "refuses to replace the version that it has (If-Match)")
        if records.replace(key, b"stale", of=first) is not None:
            raise _untrue(records, "replaces a version that it no longer has (If-Match)")
        held = records.get(key)
        if held is None or held.data != b"second" or held.version != second:
            raise _untrue(records, "does not return what was written last")
    finally:
        with suppress(StellarrowError):
            records.remove(key)


def prove_under_load(records: Records) -> None:
    """Let several change a record at once; SinkError where a change was lost.

    A store may compare and write in two steps, or hand out the bytes of one version with the tag of another.
    """
    key = f"{_FOLDER}/{uuid4().hex}"
    try:
        with ThreadPoolExecutor(_WRITERS) as threads:
            for done in [threads.submit(_count, records, key) for _ in range(_WRITERS)]:
                done.result()
        held = records.get(key)
        if held is None or int(held.data) != _WRITERS * _CHANGES:
            raise _untrue(records, "loses changes where several make some at once")
    finally:
        with suppress(StellarrowError):
            records.remove(key)


def _count(records: Records, key: str) -> None:
    for _ in range(_CHANGES):
        amend(records, key, lambda data: (str(int(data or 0) + 1).encode(), None))


def _untrue(records: Records, what: str) -> SinkError:
    return SinkError(f"{records.where} {what}: keep shared records in PostgreSQL or another store")
