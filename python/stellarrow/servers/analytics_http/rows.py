"""Rows of tables: the endpoints that answer with a table's rows, by parameters that all of them share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pyarrow as pa

from stellarrow.analysis.reads.conditions import Conditions
from stellarrow.analysis.reads.paging import gaps_of, page, refuse_departed, whole
from stellarrow.analysis.reads.reading import Question, Snapshot, Tables
from stellarrow.analysis.reads.times import Times
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.servers.analytics_http import parameters as of
from stellarrow.servers.analytics_http.answers import Rows
from stellarrow.servers.analytics_http.endpoint import Asked
from stellarrow.servers.analytics_http.writing import TEXTS

_LISTS: Final = ("contract_ids", "accounts", "assets", "event_types", "event_names")
SELECTING: Final = (of.COLUMNS, of.START, of.END)
PAGING: Final = (of.LIMIT, of.CURSOR)


class TableRows:
    """Answers with rows of a table, as a page or as a stream of all."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._times = Times(tables)

    def answer(self, table: str, asked: Asked, conditions: Conditions | None = None) -> Rows:
        """Return the rows that a request asks for; `conditions` are the path's, beside its parameters."""
        snapshot = self._tables.snapshot(table)
        start, end = asked.get("start") or "", asked.get("end") or ""
        ledgers = self._times.range(table, start, end)
        question = Question(
            table=table,
            ledgers=ledgers or LedgerRange(0, 0),
            conditions=_together(asked, conditions or Conditions()),
            columns=asked.get("columns") or (),
            descending=asked.get("order") == "desc",
            asked=f"{start}:{end}",
        )
        found = snapshot.answer_schema(question.columns)
        if ledgers is None:
            snapshot.read(question, LedgerRange(0, 0))  # what is wrong with it is told all the same
            return Rows(found, [], snapshot.as_of)
        is_final = _is_final(snapshot, ledgers)
        cursor = asked.get("cursor") or ""
        if (start or end) and not cursor:
            refuse_departed(snapshot, ledgers)
        for_text = asked.format_name in TEXTS
        if asked.is_limited:
            made = page(snapshot, question, limit=asked["limit"], cursor=cursor, for_text=for_text)
            return Rows(found, made.batches, made.as_of, made.next, is_final, gaps=made.gaps)
        as_of, batches = whole(snapshot, question, for_text=for_text)
        gaps = gaps_of(snapshot, question)
        return Rows(found, _generated(batches), as_of, None, is_final, gaps=gaps)


def _generated(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


def _together(asked: Asked, own: Conditions) -> Conditions:
    given = {name: asked.get(name) or () for name in _LISTS}
    lists = {name: values for name, values in given.items() if values}
    return replace(own, **lists, where=asked.get("where") or "").checked()


def _is_final(snapshot: Snapshot, ledgers: LedgerRange) -> bool:
    """Tell whether every ledger that is asked for is here: then nothing will come to it."""
    return ledgers.last is not None and ledgers.first > 0 and not LedgerSet([ledgers]) - snapshot.coverage
