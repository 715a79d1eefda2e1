"""Endpoints whose rows are computed: how a request becomes a summary, and its answer rows."""

from __future__ import annotations

from typing import Final

from stellarrow.analysis.reads.reading import Tables
from stellarrow.analysis.reads.summaries import Summary, summarized
from stellarrow.analysis.reads.times import Times
from stellarrow.ledgers import LedgerRange
from stellarrow.servers.analytics_http import parameters as of
from stellarrow.servers.analytics_http.answers import Rows
from stellarrow.servers.analytics_http.endpoint import Asked

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
        return Rows(made.rows.schema, made.rows.to_batches(), made.as_of, made.next, since=made.since)
