"""A Delta table at a version: its files and facts, as the actions of its log made them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from stellarrow.errors import Damaged, SchemaMismatch
from stellarrow.sinks.lakehouse.rows import HeldFile

APP: Final = "stellarrow"  # the application whose transactions name the coverage
SHA256: Final = "stellarrow.sha256"  # a tag of files
_WRITER: Final = 2  # the protocol we write: neither deletion vectors nor renamed columns, which need more
_TABLE_FEATURES: Final = 7
_KNOWN_FEATURES: Final = frozenset(("appendOnly", "invariants"))
KEPT_SECONDS: Final = 7 * 86_400  # how long a file that was replaced stays for readers that are at it

Action = Mapping[str, Any]


@dataclass(slots=True)
class Snapshot:
    """What the log says up to `version`; -1 where there is no table."""

    where: str
    version: int = -1
    files: dict[str, dict[str, Any]] = field(default_factory=dict)  # by path, as added
    removed: dict[str, dict[str, Any]] = field(default_factory=dict)
    transactions: dict[str, dict[str, Any]] = field(default_factory=dict)
    metadata: dict[str, Any] | None = None
    protocol: dict[str, Any] | None = None

    def apply(self, version: int, actions: Iterable[Action]) -> None:
        """Take over what a commit did."""
        for action in actions:
            for kind, told in action.items():
                self._apply(kind, told)
        self.version = version

    def _apply(self, kind: str, told: dict[str, Any]) -> None:
        if kind == "add":
            self.files[told["path"]] = told
            self.removed.pop(told["path"], None)
        elif kind == "remove":
            self.files.pop(told["path"], None)
            self.removed[told["path"]] = told
        elif kind == "txn":
            self.transactions[told["appId"]] = told
        elif kind == "metaData":
            self.metadata = told
        elif kind == "protocol":
            self.protocol = told

    @property
    def coverage(self) -> int | None:
        """The number of the text of coverage, None where stellarrow wrote nothing yet."""
        told = self.transactions.get(APP)
        return int(told["version"]) if told else None

    def check(self) -> None:
        """Refuse a table that we must not write, or that no stellarrow wrote."""
        if self.version < 0:
            return
        protocol = self.protocol or {}
        reader, writer = int(protocol.get("minReaderVersion", 0)), int(protocol.get("minWriterVersion", 0))
        features = {*(protocol.get("writerFeatures") or ()), *(protocol.get("readerFeatures") or ())}
        is_known = writer <= _WRITER or (writer == _TABLE_FEATURES and features <= _KNOWN_FEATURES)
        if not is_known or (reader > 1 and not features <= _KNOWN_FEATURES):
            asked = ", ".join(sorted(features - _KNOWN_FEATURES)) or f"version {writer} of the protocol"
            raise SchemaMismatch(
                f"{self.where} was changed to need {asked}, which stellarrow does not write: drop that"
                " feature, or choose another place"
            )
        if self.coverage is None or self.metadata is None:
            raise SchemaMismatch(
                f"{self.where} is a Delta table that no stellarrow wrote: choose another place"
            )
        if self.metadata.get("partitionColumns"):
            raise SchemaMismatch(
                f"{self.where} is partitioned by now, and stellarrow writes it without: choose another place"
            )

    def held(self) -> list[HeldFile]:
        """Return the table's files; where one does not tell between which ledgers it is, it may be any."""
        return [held_file(self.where, one) for one in self.files.values()]

    def expire(self) -> None:
        """Forget files that were replaced long ago: nobody reads them, and cleaning has removed them."""
        limit = (time.time() - KEPT_SECONDS) * 1_000
        self.removed = {
            path: one for path, one in self.removed.items() if (one.get("deletionTimestamp") or 0) > limit
        }


def held_file(where: str, told: Action) -> HeldFile:
    """Return a file as its entry in the log tells of it."""
    path = unquote(told["path"])
    if "://" in path or path.startswith("/"):
        raise SchemaMismatch(f"{where} names a file elsewhere, {path}: stellarrow reads none outside a table")
    try:
        found = json.loads(told.get("stats") or "{}")
        first = int(found.get("minValues", {}).get("ledger_sequence", 0))
        last = int(found.get("maxValues", {}).get("ledger_sequence", 2**32 - 1))
        digest = str((told.get("tags") or {}).get(SHA256) or "")
        return HeldFile(path, first, last, int(found.get("numRecords", 1)), digest)
    except (ValueError, TypeError, AttributeError) as error:
        raise Damaged(f"{where} has a log whose entry of {path} cannot be read: restore the log") from error
