"""What a command wants of the rows that sessions keep: which of them, and which columns."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.core.decode import Decoder
from stellarrow.core.rows import texts_of
from stellarrow.core.tables import schema
from stellarrow.enrichment.tokens import Tokens
from stellarrow.enrichment.transfers import enriched
from stellarrow.errors import ConfigError
from stellarrow.filter import Filter
from stellarrow.processor.reads.request import Command
from stellarrow.sql import compile_sql

Pick = Callable[[pa.RecordBatch], pa.RecordBatch]


def selector(command: Command, tokens: Tokens) -> Pick:
    """Return what leaves the columns that were asked for, or adds them."""
    if command.enriched:
        return lambda rows: enriched(rows, tokens)
    columns = list(command.columns)
    return (lambda rows: rows.select(columns)) if columns else (lambda rows: rows)


def picker(command: Command, tokens: Tokens) -> Pick:
    """Return what makes the rows and columns asked for out of those a session keeps."""
    where, select = command.where, selector(command, tokens)
    if not str(where):
        return select
    if where.asset_codes:
        raise ConfigError(
            "asset_codes cannot be told from what sessions keep: name start_ledger, and it is decoded for"
            " you, or set it for the sessions (ConfigureFilters)"
        )
    Decoder([command.table], network="pubnet", where=where)  # a bad contract is refused here as by a range
    whole = schema(command.table)
    lists = {
        column: texts_of(wanted)
        for column, wanted in (("contract_id", where.contract_ids), ("event_name", where.event_names))
        if wanted
    }
    fits = compile_sql(
        command.table,
        whole,
        Filter(where=where.where, select=where.select),
        whole=schema(command.table, decoded=True),
    )

    def pick(rows: pa.RecordBatch) -> pa.RecordBatch:
        for column, wanted in lists.items():
            rows = rows.filter(pc.is_in(rows.column(column), wanted))
        if fits:
            rows = fits(rows)
        return select(rows)

    return pick
