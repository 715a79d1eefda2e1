"""Endpoints whose rows are computed: how a request becomes a summary, and its answer rows."""

from __future__ import annotations

import json
from typing import Any, Final

from stellarrow.analysis.reads.reading import Tables
from stellarrow.analysis.reads.summaries import Summary, summarized
from stellarrow.analysis.reads.times import Times
from stellarrow.ledgers import LedgerRange
from stellarrow.servers.analytics_http import parameters as of
from stellarrow.servers.analytics_http.answers import Document, Rows
from stellarrow.servers.analytics_http.answers import told as told_gaps
from stellarrow.servers.analytics_http.endpoint import Asked
from stellarrow.servers.analytics_http.writing import json_rows
from stellarrow.sinks.files.departures import sentence

SUMMING: Final = (of.START, of.END, of.LIMIT, of.CURSOR)


class Summaries:
    """Answers with what is computed from rows, as a page."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._times = Times(tables)

    def answer(self, summary: Summary, asked: Asked) -> Rows:
        start, end = asked.get("start") or "", asked.get("end") or ""
        first = next(iter(summary.inputs.values())).table
        ledgers = self._times.range(first, start, end)
        made = summarized(
            self._tables,
            summary,
            ledgers=ledgers or LedgerRange(0, 0),
            asked=f"{start}:{end}",
            limit=asked["limit"],
            cursor=asked.get("cursor") or "",
        )
        rows = made.rows
        return Rows(rows.schema, rows.to_batches(), made.as_of, made.next, since=made.since, gaps=made.gaps)


def one_row(found: Rows) -> Document:
    """Return the one row of an answer as an object, with the ledgers that it is of."""
    told: dict[str, Any] = {"since_ledger": found.since, "as_of_ledger": found.as_of}
    if found.gaps:
        told["gaps"] = told_gaps(found.gaps)
    rest = json.dumps(told, separators=(",", ":")).encode()
    return Document(text=json_rows(found.batches)[:-1] + b"," + rest[1:])


def aside(found: Rows) -> str:
    """Return what a sentence about an answer adds of the ledgers that left."""
    return f"; {sentence(found.gaps)}" if found.gaps else ""
