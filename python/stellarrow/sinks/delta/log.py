"""A table's log: read up to its end, and one commit more, for which one writer alone gets the number.

Source: PROTOCOL.md of delta-io/delta. A commit is a file that must be new, `_delta_log/N.json`; who finds the
name taken reads what the other wrote, and decides again.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from stellarrow.core.version import __version__
from stellarrow.errors import Damaged, SinkError
from stellarrow.sinks.delta import checkpoint
from stellarrow.sinks.delta.checkpoint import Checkpoints
from stellarrow.sinks.delta.snapshot import SHA256, Action, Snapshot
from stellarrow.sinks.delta.statistics import statistics
from stellarrow.sinks.lakehouse.data_file import Written
from stellarrow.sinks.lakehouse.rows import damage_told
from stellarrow.storage.files import FileStore, Gone

CHECKPOINT_EVERY: Final = 50  # commits
_COMMIT: Final = re.compile(r"(\d{20})\.json")
_LAST: Final = "_last_checkpoint"
_CHANCES: Final = 20  # to read a log that others clean up meanwhile
_BY_NUMBER_SECONDS: Final = 600.0  # after a look, in which nobody cleans up what came after it


@dataclass(slots=True)
class DeltaLog:
    """The log of the table in a folder of a store, as it was when it was read last."""

    store: FileStore
    folder: str
    snapshot: Snapshot = field(init=False)
    _looked: float = -_BY_NUMBER_SECONDS
    _checkpoints: Checkpoints = field(default_factory=Checkpoints)

    def __post_init__(self) -> None:
        self.snapshot = Snapshot(self.where)

    @property
    def where(self) -> str:
        """The table, for people."""
        return f"{self.store}/{self.folder}"

    @property
    def path(self) -> str:
        """The folder of the log."""
        return f"{self.folder}/_delta_log"

    def refresh(self) -> Snapshot:
        """Read what was committed since."""
        for _ in range(_CHANCES):
            try:
                if not self._read_by_number():
                    self._read_on()
            except Gone:  # cleaned up just now: a checkpoint tells what these commits did
                self.snapshot = Snapshot(self.where)
                continue
            return self.snapshot
        raise SinkError(f"{self.path} changes faster than it can be read: do this again later")

    def _read_by_number(self) -> bool:
        """Read the commits that follow without a listing, which is as long as the log; False for none."""
        began, known = time.monotonic(), self.snapshot.version
        if known < 0 or began - self._looked > _BY_NUMBER_SECONDS:
            return False
        with suppress(Gone):
            while True:
                due = self.snapshot.version + 1
                self.snapshot.apply(due, self._commit(due))
        if self.snapshot.version > known:
            self._looked = began
        return self.snapshot.version > known

    def _read_on(self) -> None:
        began, known = time.monotonic(), self.snapshot.version
        names = self._names(f"{known:020d}.json" if known >= 0 else self._last())
        if known < 0 and not _newest_checkpoint(names):
            names = self._names("")  # what was told last is gone, or there was nothing
        commits = {int(match[1]) for name in names if (match := _COMMIT.fullmatch(name))}
        if known < 0 and (begin := _newest_checkpoint(names)):
            version, parts = begin
            self.snapshot = Snapshot(self.where)
            for name in parts:
                with damage_told(f"{self.path}/{name}"), self.store.read(f"{self.path}/{name}") as file:
                    self.snapshot.apply(version, checkpoint.read(file))
        while (due := self.snapshot.version + 1) in commits:
            self.snapshot.apply(due, self._commit(due))
        if any(version > self.snapshot.version for version in commits):
            if known >= 0:  # others cleaned up what we had not read
                raise Gone(f"{self.path} begins later by now")
            raise Damaged(f"{self.path} lacks commit {due}, and has later ones: restore it")
        self._looked = began

    def _names(self, after: str) -> list[str]:
        return [one.path.rpartition("/")[2] for one in self.store.list(self.path, after=after)]

    def _last(self) -> str:
        """Return a name after which the newest checkpoint comes; empty where none is told."""
        try:
            with self.store.read(f"{self.path}/{_LAST}") as file:
                return f"{int(json.loads(file.read())['version']):020d}."
        except Gone:
            return ""
        except (ValueError, KeyError, TypeError):  # it is a hint, and no more
            return ""

    def _commit(self, version: int) -> list[Action]:
        path = f"{self.path}/{version:020d}.json"
        with self.store.read(path) as file:
            text = file.read()
        try:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise Damaged(f"{path} is no commit of Delta ({error}): restore it") from error

    def commit(self, operation: str, actions: Sequence[Action], **told: str) -> bool:
        """Commit, as the version after the one that was read last; False where another took the number."""
        now = int(time.time() * 1_000)
        info = {
            "timestamp": now,
            "operation": operation,
            "operationParameters": told,
            "engineInfo": f"stellarrow/{__version__}",
        }
        lines = [json.dumps(one, separators=(",", ":")) for one in [{"commitInfo": info}, *actions]]
        version = self.snapshot.version + 1
        data = "\n".join([*lines, ""]).encode()
        if not self.put(f"{self.path}/{version:020d}.json", data, new=True):
            return False
        self.snapshot.apply(version, actions)
        return True

    def put(self, path: str, data: Any, *, new: bool = False) -> bool:
        """Write a small file; False where it had to be new, and is not."""
        upload = self.store.create()
        try:
            upload.write(data)
            done = upload.place(path, new=new)
        finally:
            upload.discard()
        if new and not self.store.is_conditional:
            raise SinkError(
                f"{self.store} cannot keep a Delta table: it does not know how to write only what is not"
                " there (If-None-Match); use another store"
            )
        return done

    def write_checkpoint(self) -> None:
        """Write the state that was read last as a checkpoint."""
        snapshot = self.snapshot
        snapshot.expire()
        data, size = self._checkpoints.written(snapshot)
        self.put(f"{self.path}/{snapshot.version:020d}.checkpoint.parquet", data)
        told = {"version": snapshot.version, "size": size}
        self.put(f"{self.path}/{_LAST}", json.dumps(told).encode())

    def clean(self, seconds: float) -> None:
        """Remove commits and checkpoints older than so long, but for what the oldest that stays needs."""
        listed = self.store.list(self.path)
        limit = time.time() - seconds
        kept = [
            int(match[1])
            for one in listed
            if (match := checkpoint.NAME.fullmatch(one.path.rpartition("/")[2]))
            and one.changed < limit
            and not match[2]  # in parts, of which one may lack
        ]
        if kept:
            oldest = max(kept)
            self.store.remove(one.path for one in listed if _number(one.path) < oldest)


def _number(path: str) -> int:
    """Return the version a file of the log belongs to; one beyond all where it is none."""
    digits = path.rpartition("/")[2].partition(".")[0]
    return int(digits) if len(digits) == 20 and digits.isdecimal() else 1 << 62


def _newest_checkpoint(names: Sequence[str]) -> tuple[int, list[str]] | None:
    """Return the version and the files of the newest checkpoint that is whole."""
    found: dict[tuple[int, int], list[str]] = {}
    for name in sorted(names):
        if match := checkpoint.NAME.fullmatch(name):
            found.setdefault((int(match[1]), int(match[3] or 1)), []).append(name)
    whole = [(version, parts) for (version, count), parts in found.items() if len(parts) == count]
    return max(whole, default=None)


def add(path: str, file: Written, *, is_new: bool = True) -> Action:
    """Return the action that a file becomes part of the table; merged files bring no new rows."""
    return {
        "add": {
            "path": path,
            "partitionValues": {},
            "size": file.bytes,
            "modificationTime": int(time.time() * 1_000),
            "dataChange": is_new,
            "stats": statistics(file.footer),
            "tags": {SHA256: file.sha256},
        }
    }


def removals(files: Iterator[Action] | Sequence[Action], *, is_new: bool = False) -> list[Action]:
    """Return the actions that files leave the table."""
    now = int(time.time() * 1_000)
    return [
        {
            "remove": {
                "path": one["path"],
                "deletionTimestamp": now,
                "dataChange": is_new,
                "extendedFileMetadata": True,
                "partitionValues": {},
                "size": one["size"],
            }
        }
        for one in files
    ]


def first_actions(table: str, schema: str, description: str, ident: str) -> list[Action]:
    """Return the actions that make a table."""
    meta: dict[str, Any] = {
        "id": ident,
        "name": table,
        "description": description,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": schema,
        "partitionColumns": [],
        "configuration": {"delta.checkpointInterval": str(CHECKPOINT_EVERY)},
        "createdTime": int(time.time() * 1_000),
    }
    return [{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": meta}]
