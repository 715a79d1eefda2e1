"""An export's files: rows as REST writes them, cut between ledgers; each file whole or not at all."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pyarrow as pa

from stellarrow.analysis.reads.order import ledgers_of
from stellarrow.analysis.reads.paging import departed
from stellarrow.analysis.reads.reading import Question, Snapshot, Tables
from stellarrow.analysis.reads.refusals import FellOut
from stellarrow.errors import Unavailable
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.servers.analytics_exports.asked import MOST_GAPS, question_of
from stellarrow.servers.analytics_exports.folder import ExportFolder
from stellarrow.servers.analytics_exports.job import File, Job
from stellarrow.servers.analytics_exports.sql import SqlAnswers
from stellarrow.servers.analytics_http.query_writing import blocks
from stellarrow.servers.analytics_http.writing import Block, written

MOST_ROWS: Final = 1_000_000  # of a file, and then the rest of the ledger
MOST_BYTES: Final = 256 << 20
SUFFIXES: Final = {"parquet": "parquet", "ndjson": "ndjson", "csv": "csv"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a file is full; `check` is told the bytes of the file before each write, and raises to end it."""

    check: Callable[[int], None]
    rows: int
    bytes: int


@dataclass(slots=True)
class _Out:
    """Counts and digests what is written to a file."""

    file: Any
    check: Callable[[int], None]
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def write(self, data: Block) -> None:
        self.size += len(data)
        self.check(self.size)
        self.digest.update(data)
        self.file.write(data)


def next_file(tables: Tables, job: Job, folder: ExportFolder, limits: Limits) -> File | None:
    """Write the next file that an export of a table lacks; None where there is nothing left."""
    left = job.left
    if job.files and not left:
        return None
    question = question_of(job.query)
    snapshot = tables.snapshot(question.table)
    _check_there(snapshot, left, job.as_of)
    first = left.first if left else job.as_of
    name = f"{question.table}-{first:010d}.{SUFFIXES[job.format]}"
    with folder.written(job, name) as file:
        out = _Out(file, limits.check)
        part = _Part(out, limits)
        columns = snapshot.columns(question.columns)
        batches = (rows.select(columns) for rows in part.taken(_rows(snapshot, question, left)))
        for block in written(job.format, snapshot.answer_schema(question.columns), batches, None):
            out.write(block)
    last = part.last if part.is_cut else (left.last if left else job.as_of)
    return File(
        name=name,
        bytes=out.size,
        rows=part.rows,
        sha256=out.digest.hexdigest(),
        first_ledger=first,
        last_ledger=last,
    )


def sql_file(answers: SqlAnswers, job: Job, folder: ExportFolder, limits: Limits) -> Job:
    """Write the one file of a query; return the export with it, and with what its rows were read from."""
    name = f"query.{SUFFIXES[job.format]}"
    counted = 0
    with answers.begun(job.query) as answer, folder.written(job, name) as file:

        def batches() -> Iterator[pa.RecordBatch]:
            nonlocal counted
            for rows in answer.found:
                counted += rows.num_rows
                yield rows

        out = _Out(file, limits.check)
        for block in blocks(answer.found.schema, batches(), job.format):
            out.write(block)
        made = File(
            name=name,
            bytes=out.size,
            rows=counted,
            sha256=out.digest.hexdigest(),
            first_ledger=0,
            last_ledger=answer.read.as_of,
        )
        gaps = tuple(one.to_dict() for one in answer.read.gaps()[:MOST_GAPS])
        truncated = answer.found.truncated
        return replace(job, files=(made,), as_of=answer.read.as_of, gaps=gaps, is_truncated=truncated)


class _Part:
    """Takes rows until a file is full, and then ends with the ledger that is whole."""

    def __init__(self, out: _Out, limits: Limits) -> None:
        self.rows = 0
        self.last = 0
        self.is_cut = False
        self._out = out
        self._limits = limits

    def taken(self, found: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in found:
            self._limits.check(self._out.size)
            rows = batch[: self._room(ledgers_of(batch))]
            self.is_cut = rows.num_rows < batch.num_rows
            if rows.num_rows:
                self.rows += rows.num_rows
                self.last = ledgers_of(rows)[-1]
                yield rows
            if self.is_cut:
                return

    def _room(self, ledgers: memoryview) -> int:
        """Return how many rows of these ledgers still belong to the file: it ends with a whole ledger."""
        room = self._limits.rows - self.rows
        if room <= 0 or self._out.size >= self._limits.bytes:
            return bisect_right(ledgers, self.last)
        return len(ledgers) if room >= len(ledgers) else bisect_right(ledgers, ledgers[room - 1])


def _rows(snapshot: Snapshot, question: Question, ledgers: LedgerSet) -> Iterator[pa.RecordBatch]:
    for part in ledgers:
        yield from snapshot.read(question, LedgerRange(part.first, part.end))


def _check_there(snapshot: Snapshot, ledgers: LedgerSet, as_of: int) -> None:
    """Refuse to write a file that would lack ledgers."""
    missing = ledgers - snapshot.coverage
    if not missing:
        return
    if snapshot.as_of < as_of:
        raise Unavailable(f"{snapshot.name} is here up to ledger {snapshot.as_of}, not yet up to {as_of}")
    if gone := snapshot.absences(missing):
        raise departed(gone, "the export cannot be finished: ask for it again. What left meanwhile: ")
    raise FellOut(f"ledgers {missing} of {snapshot.name} are no longer kept here: ask for those that are")
