"""Answers that are computed from rows: sums, latest states, rankings, each as of one ledger and in pages.

A query of ours runs in a DuckDB that sees nothing but the rows it is given. The same rows give the same
answer, so a page is so many rows behind the ones before.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from stellarrow.analysis.reads.conditions import Conditions
from stellarrow.analysis.reads.paging import departed, refuse_departed
from stellarrow.analysis.reads.reading import Question, Snapshot, Tables
from stellarrow.analysis.reads.refusals import FellOut, Refused
from stellarrow.errors import StellarrowError, Unavailable
from stellarrow.extras import needing
from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange, LedgerSet
from stellarrow.sinks.files.departures import Absence
from stellarrow.sql.duckdb_errors import reason_of

with needing("summaries", "sql"):
    import duckdb

_MEMORY: Final = "1GB"
_THREADS: Final = 2


@dataclass(frozen=True, slots=True)
class Input:
    """Rows that a query reads: of a table, under conditions, with some columns."""

    table: str
    columns: tuple[str, ...]
    conditions: Conditions = field(default_factory=Conditions)


@dataclass(frozen=True, slots=True)
class Summary:
    """A query over inputs, by the names it has them by; `asked` is what else it depends on."""

    query: str
    inputs: Mapping[str, Input]
    values: Mapping[str, Any] = field(default_factory=dict)

    def shape(self, asked: str) -> str:
        told = [
            self.query,
            asked,
            dict(self.values),
            [[name, one.table, one.conditions.to_dict()] for name, one in self.inputs.items()],
        ]
        return hashlib.blake2b(json.dumps(told).encode(), digest_size=6).hexdigest()


@dataclass(frozen=True, slots=True)
class Answer:
    """Some rows of a summary, of ledgers since one and as of another, and the cursor of what follows."""

    rows: pa.Table
    since: int
    as_of: int
    next: str | None
    gaps: tuple[Absence, ...] = ()


def summarized(
    tables: Tables, summary: Summary, *, ledgers: LedgerRange, asked: str, limit: int, cursor: str = ""
) -> Answer:
    """Compute a page of a summary."""
    snapshots = {name: tables.snapshot(one.table) for name, one in summary.inputs.items()}
    shape = summary.shape(asked)
    if cursor:
        floor, as_of, offset = _continued(cursor, shape, snapshots)
    else:
        floor, as_of, offset = _begun(snapshots.values(), ledgers)
    due = LedgerRange(floor, as_of) if floor <= as_of else None
    watched = _Watched()
    readers = {name: _reader(snapshots[name], one, due, watched) for name, one in summary.inputs.items()}
    rows = _computed(
        f"select * from ({summary.query}) limit {limit + 1} offset {offset}",
        readers,
        summary.values,
        watched,
    )
    following = None
    if rows.num_rows > limit:
        rows = rows.slice(0, limit)
        left = sum(_left(one, floor, as_of).count for one in snapshots.values())
        following = _token([shape, floor, as_of, offset + limit, left])
    if not due:
        as_of = min(one.as_of for one in snapshots.values())
    return Answer(rows, floor, as_of, following, _gone(snapshots.values(), ledgers))


def _gone(snapshots: Iterable[Snapshot], ledgers: LedgerRange) -> tuple[Absence, ...]:
    """Return what is lacking of the ledgers that are asked for, of each table once."""
    tables = {one.name: one for one in snapshots}
    return tuple(gap for one in tables.values() for gap in one.gaps(ledgers))


def _begun(snapshots: Iterable[Snapshot], ledgers: LedgerRange) -> tuple[int, int, int]:
    """Return since which ledger every table has what is asked for, as of which one, and no offset."""
    held = [*snapshots]
    if ledgers.first or ledgers.last is not None:
        for one in held:
            refuse_departed(one, ledgers)
    as_of = min(one.last_until(ledgers.end) for one in held)
    within = [one.coverage & LedgerSet([ledgers]) for one in held]
    return max((one.first for one in within if one), default=ledgers.first), as_of, 0


def _left(snapshot: Snapshot, floor: int, as_of: int) -> LedgerSet:
    """Return which ledgers of a summary left."""
    gone = snapshot.gone
    return gone & LedgerSet([LedgerRange(floor, as_of)]) if gone and floor <= as_of else LedgerSet()


def _continued(cursor: str, shape: str, held: Mapping[str, Snapshot]) -> tuple[int, int, int]:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        made_for, *numbers = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        floor, as_of, offset, *before = (_whole(one) for one in numbers)
    except (ValueError, TypeError, RecursionError) as error:
        raise Refused(
            "the cursor is none of ours: send the next_cursor of a page, or leave it out", field="cursor"
        ) from error
    if made_for != shape:
        raise Refused("the cursor is of another query: all else must be as it was then", field="cursor")
    left = {name: _left(one, floor, as_of) for name, one in held.items()}
    ends = any(as_of in one or floor in one for one in left.values())
    if sum(one.count for one in left.values()) > before[0] if before else ends:  # ends: of an older version
        gone = tuple(gap for name, one in held.items() for gap in one.absences(left[name]))
        raise departed(gone, "what the first page knew is no longer here: begin again without the cursor. ")
    for one in held.values():
        if as_of > one.last_known:
            raise Unavailable(f"ledgers up to {as_of} are not here again yet: try again", retry_after=1.0)
        if floor <= as_of and one.coverage and floor < one.coverage.first:
            raise FellOut(
                f"ledger {floor}, which the first page knew, is no longer kept here: the first ledger of"
                f" {one.name} is {one.coverage.first}; begin again without the cursor"
            )
    return floor, as_of, offset


def _token(held: Sequence[Any]) -> str:
    written = json.dumps(held, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(written).decode().rstrip("=")


def _reader(
    snapshot: Snapshot, one: Input, due: LedgerRange | None, watched: _Watched
) -> pa.RecordBatchReader:
    kept = one.columns if "ledger_sequence" in one.columns else ("ledger_sequence", *one.columns)
    schema = snapshot.answer_schema(kept)
    question = Question(table=one.table, conditions=one.conditions, columns=kept)
    found = snapshot.read(question, due or LedgerRange(0, 0))
    return pa.RecordBatchReader.from_batches(schema, watched.batches(found, schema) if due else iter(()))


class _Watched:
    """Batches for DuckDB; what they fail with is kept, as it tells of errors in words of its own."""

    def __init__(self) -> None:
        self.failure: StellarrowError | None = None

    def batches(self, found: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        try:
            for rows in found:
                yield pa.RecordBatch.from_arrays(rows.select(schema.names).columns, schema=schema)
        except StellarrowError as error:
            self.failure = error
            raise


def _computed(
    query: str,
    readers: Mapping[str, pa.RecordBatchReader],
    values: Mapping[str, Any],
    watched: _Watched,
) -> pa.Table:
    limits: dict[str, Any] = {
        "memory_limit": _MEMORY,
        "threads": _THREADS,
        "autoinstall_known_extensions": False,
    }
    with duckdb.connect(":memory:", config=limits) as connection:
        connection.execute("set timezone = 'UTC'")
        for name, reader in readers.items():
            connection.register(name, reader)
        connection.execute("set enable_external_access = false")
        try:
            found: pa.Table = connection.sql(query, params=dict(values) or None).to_arrow_table()
            return found
        except duckdb.OutOfMemoryException as error:
            raise Unavailable(
                "the answer takes more memory than there is: ask for fewer ledgers", retry_after=10.0
            ) from error
        except (duckdb.Error, pa.ArrowException) as error:
            if watched.failure:
                raise watched.failure from error
            raise StellarrowError(f"the answer could not be computed: {reason_of(error)}") from error


def _whole(number: object) -> int:
    if type(number) is int and 0 <= number <= LAST_POSSIBLE:
        return number
    raise ValueError(number)
