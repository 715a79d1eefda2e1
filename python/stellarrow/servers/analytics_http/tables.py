"""What there is: status, tables and their columns, rows of any table, ledgers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from stellarrow.analysis.reads.conditions import lists_of
from stellarrow.analysis.reads.order import key_of
from stellarrow.analysis.reads.paging import page, refuse_departed
from stellarrow.analysis.reads.reading import Question, Snapshot, Tables
from stellarrow.analysis.reads.refusals import NotFound
from stellarrow.core.tables import table
from stellarrow.core.version import __version__
from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange, LedgerSet
from stellarrow.ledgers.dates import shown
from stellarrow.servers.analytics_http import parameters as of
from stellarrow.servers.analytics_http.answers import Document
from stellarrow.servers.analytics_http.endpoint import Asked, Endpoint
from stellarrow.servers.analytics_http.rows import PAGING, SELECTING, TableRows
from stellarrow.servers.analytics_http.writing import json_rows
from stellarrow.sinks.files.departed import ARCHIVED, DELETED

LEDGERS: Final = "ledgers"
_NUMBER: Final = of.Parameter(
    "ledger",
    "A ledger's sequence.",
    place="path",
    least=0,
    most=LAST_POSSIBLE,
    example=58_752_000,
)
_LISTED: Final = (of.CONTRACT_IDS, of.ACCOUNTS, of.ASSETS, of.EVENT_TYPES, of.EVENT_NAMES, of.WHERE)


class TableEndpoints:
    """Answers about tables; `following` says where newer ledgers come from."""

    def __init__(self, tables: Tables, rows: TableRows, following: Callable[[], Mapping[str, Any]]) -> None:
        self._tables = tables
        self._rows = rows
        self._following = following

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                path="/v1/status",
                summary="The network, the last ledger, and which ledgers each table has",
                answer=self._status,
                tag="status",
                is_cached=False,
            ),
            Endpoint(path="/v1/tables", summary="Every table", answer=self._list, tag="tables"),
            Endpoint(
                path="/v1/tables/{table}",
                summary="A table's columns, key and ledgers",
                answer=self._table,
                tag="tables",
                parameters=(of.TABLE,),
            ),
            Endpoint(
                path="/v1/tables/{table}/rows",
                summary="A table's rows",
                answer=lambda asked: self._rows.answer(asked["table"], asked),
                tag="tables",
                parameters=(of.TABLE, *SELECTING, *_LISTED, *PAGING, of.order("asc")),
                has_rows=True,
            ),
            *(self._of_ledgers() if LEDGERS in self._tables.names else ()),
        ]

    def _of_ledgers(self) -> list[Endpoint]:
        one: dict[str, Any] = {"tag": LEDGERS, "rows_of": LEDGERS}
        return [
            Endpoint(
                path="/v1/ledgers",
                summary="Ledgers, the newest first",
                answer=lambda asked: self._rows.answer(LEDGERS, asked),
                parameters=(*SELECTING, of.WHERE, *PAGING, of.order("desc")),
                has_rows=True,
                **one,
            ),
            Endpoint(path="/v1/ledgers/latest", summary="The newest ledger", answer=self._latest, **one),
            Endpoint(
                path="/v1/ledgers/{ledger}",
                summary="One ledger",
                answer=lambda asked: self._ledger(asked["ledger"]),
                parameters=(_NUMBER,),
                **one,
            ),
        ]

    def _status(self, _: Asked) -> Document:
        snapshots = {name: self._tables.snapshot(name) for name in self._tables.names}
        as_of = min((one.last_known for one in snapshots.values()), default=0)
        closed_at = self._closed_at(snapshots.get(LEDGERS), as_of)
        network = self._tables.network
        return Document(
            {
                "network": str(network) if network else None,
                "network_passphrase": network.passphrase if network else None,
                "version": __version__,
                "as_of_ledger": as_of,
                "closed_at": None if closed_at is None else shown(closed_at),
                "lag_seconds": None if closed_at is None else round(max(0.0, time.time() - closed_at), 1),
                "hot_bytes": self._tables.hot.size_bytes,
                "kept_bytes": self._tables.stored.kept_bytes if self._tables.stored else 0,
                "following": dict(self._following()),
                "tables": {name: _coverage(one) for name, one in snapshots.items()},
            }
        )

    def _closed_at(self, snapshot: Snapshot | None, ledger: int) -> int | None:
        if snapshot is None or not ledger:
            return None
        question = Question(table=LEDGERS, columns=("closed_at",))
        for rows in snapshot.read(question, LedgerRange(ledger, ledger)):
            return int(rows.column("closed_at")[0].as_py().timestamp())
        return None

    def _list(self, _: Asked) -> Document:
        return Document({"tables": [self._summary(name) for name in self._tables.names]})

    def _summary(self, name: str) -> dict[str, Any]:
        meant = table(name)
        snapshot = self._tables.snapshot(name)
        return {
            "name": name,
            "version": meant.version,
            "description": meant.description,
            "as_of_ledger": snapshot.as_of,
            **_coverage(snapshot),
        }

    def _table(self, asked: Asked) -> Document:
        snapshot = self._tables.snapshot(asked["table"])
        columns = [
            {
                "name": field.name,
                "type": str(field.type),
                "nullable": field.nullable,
                "description": (field.metadata or {}).get(b"description", b"").decode(),
            }
            for field in snapshot.schema
        ]
        own = {"key": list(key_of(snapshot.name)), "filters": [*lists_of(snapshot.schema), "where"]}
        return Document({**self._summary(snapshot.name), **own, "columns": columns})

    def _latest(self, _: Asked) -> Document:
        snapshot = self._tables.snapshot(LEDGERS)
        if not snapshot.as_of:
            raise NotFound("there is no ledger here yet: try again when the first has come", field="ledger")
        return self._ledger(snapshot.as_of, is_final=False)

    def _ledger(self, ledger: int, *, is_final: bool = True) -> Document:
        snapshot = self._tables.snapshot(LEDGERS)
        asked = Question(table=LEDGERS, ledgers=LedgerRange(ledger, ledger))
        made = page(snapshot, asked, limit=1)
        if not made.batches:
            refuse_departed(snapshot, asked.ledgers)
            known = str(snapshot.coverage) or "none yet"
            raise NotFound(f"ledger {ledger} is not here: there are {known}", field="ledger")
        return Document(text=json_rows(made.batches), is_final=is_final)


def _coverage(snapshot: Snapshot) -> dict[str, Any]:
    coverage = snapshot.coverage
    stored = snapshot.stored
    left = snapshot.absences(snapshot.gone)
    return {
        "coverage": _ranges(coverage),
        "first_ledger": coverage.first if coverage else None,
        "last_ledger": coverage.last if coverage else None,
        "ledgers": coverage.count if coverage else 0,
        "hot": _ranges(snapshot.hot.coverage),
        "stored": _ranges(stored.coverage) if stored else [],
        "archived": [[one.first, one.last] for one in left if one.state == ARCHIVED],
        "archives": sorted({one.archive for one in left if one.archive}),
        "deleted": [[one.first, one.last] for one in left if one.state == DELETED],
        "missing": _ranges(snapshot.missing(LedgerRange(0))),
        "filter": stored.listing.shape.facts["filter"] if stored else "",
    }


def _ranges(ledgers: LedgerSet) -> list[list[int]]:
    """Return ranges as pairs of the first and the last ledger."""
    return [[part.first, part.end] for part in ledgers]
