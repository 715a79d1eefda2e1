"""A named query as a whole statement, for a database that computes it itself."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from stellarrow.extras import needing
from stellarrow.sql import windows
from stellarrow.sql.aggregation import SUM, Aggregate, Aggregation, Key
from stellarrow.sql.aliases import in_columns
from stellarrow.sql.named import AGGREGATE, FILTER, PROJECTION, NamedQuery
from stellarrow.sql.parsing import parse_columns, parse_condition, split_groups

with needing("SQL", "sql"):
    from sqlglot import expressions as sql

_DIALECT: Final = "postgres"
_MONDAY: Final = "timestamptz '2001-01-01 00:00:00+00'"  # where weeks, and all shorter windows, may begin
_INTERVALS: Final = {"1m": "1 minute", "5m": "5 minutes", "1h": "1 hour", "24h": "1 day", "7d": "7 days"}


def postgres_statement(
    query: NamedQuery, table: str, columns: pa.Schema, *, window: str = "", where: NamedQuery | None = None
) -> str:
    """Write a query of a table, as it is called there, in PostgreSQL's SQL; amounts are whole there."""
    filters = [one for one in (where, query) if one and one.kind == FILTER]
    conditions = [one.expression for one in filters]
    kept = " AND ".join(f"({_written(parse_condition(one), columns)})" for one in conditions)
    suffix = f' FROM "{table}"' + (f" WHERE {kept}" if kept else "")
    if query.kind == PROJECTION:
        trees = parse_columns(query.expression)
        made = (in_columns(one, columns, whole_amounts=False) for one in trees)
        return f"SELECT {', '.join(one.sql(dialect=_DIALECT) for one in made)}{suffix}"
    if query.kind != AGGREGATE:
        return f"SELECT *{suffix}"
    return _aggregated(query, columns, window, suffix)


def _aggregated(query: NamedQuery, columns: pa.Schema, window: str, suffix: str) -> str:
    meant: Aggregation = query.aggregation(columns, columns)
    figures, groups = split_groups(query.expression)
    keys = []
    if window:
        begins = f"date_bin('{_INTERVALS[window]}', {windows.CLOSED_AT}, {_MONDAY})"
        keys.append(f"{begins} AS {windows.START}")
    trees = parse_columns(groups, option="by") if groups else []
    keys += [_key(tree, key, columns) for tree, key in zip(trees, meant.keys, strict=True)]
    made = [
        column
        for tree, figure in zip(parse_columns(figures), meant.aggregates, strict=True)
        for column in _figure(_written(tree.unalias(), columns), figure)
    ]
    numbers = ", ".join(str(at) for at in range(1, len(keys) + 1))
    grouped = f" GROUP BY {numbers} ORDER BY {numbers}" if keys else ""
    return f"SELECT {', '.join([*keys, *made])}{suffix}{grouped}"


def _key(tree: Any, key: Key, columns: pa.Schema) -> str:
    """Write what rows are grouped by; texts are sorted by their bytes."""
    collated = ' COLLATE "C"' if pa.types.is_string(key.value.type) else ""
    return f'({_written(tree.unalias(), columns)}){collated} AS "{key.name}"'


def _figure(written: str, figure: Aggregate) -> list[str]:
    """Write a figure as the columns it has elsewhere: a number of 38 digits, and the exact text."""
    kind = next(figure.fields).type
    if not figure.has_text:
        cast = f"::numeric(38, {kind.scale})" if figure.function == SUM else ""
        return [f'({written}){cast} AS "{figure.name}"']
    most = f"1e{38 - kind.scale}"
    number = f"CASE WHEN abs({written}) < {most} THEN ({written})::numeric(38, {kind.scale}) END"
    return [f'{number} AS "{figure.name}"', f'({written})::text AS "{figure.name}_text"']


def _written(tree: Any, columns: pa.Schema) -> str:
    made = in_columns(tree, columns, whole_amounts=False)
    return str((made.this if isinstance(made, sql.Alias) else made).sql(dialect=_DIALECT))
