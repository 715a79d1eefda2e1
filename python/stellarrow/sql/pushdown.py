"""Which parts of a condition the core's filter can answer, so that the walk makes fewer rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa

from stellarrow.extras import needing
from stellarrow.filter import Filter
from stellarrow.sql.parsing import Condition
from stellarrow.sql.pushable import field_for

with needing("SQL", "sql"):
    from sqlglot import expressions as sql


def pushed(condition: Condition | None, columns: pa.Schema, where: Filter) -> Filter:
    """Return the filter with what the condition adds to it; fields that were given stay as they are."""
    found: dict[str, Any] = {}
    for term in _terms(condition):
        name, values = _alternatives(term)
        if name == "deleted" and values == [False]:
            found["include_deleted"] = False
        elif name in columns.names and (field := field_for(name, values)) and not getattr(where, field):
            found.setdefault(field, tuple(values))
    return replace(where, **found)


def _terms(condition: Any) -> Iterator[Any]:
    """Yield what must all be true."""
    waiting = [condition]
    while waiting:
        term = waiting.pop()
        if isinstance(term, sql.Paren):
            waiting.append(term.this)
        elif isinstance(term, sql.And):
            waiting += (term.expression, term.this)
        elif term is not None:
            yield term


def _alternatives(term: Any) -> tuple[str, list[Any]]:
    """Return the column a term is about, and the constants one of which it must have; else no column."""
    if isinstance(term, sql.Not) and isinstance(term.this, sql.Column):
        return _name(term.this), [False]
    if isinstance(term, sql.Coalesce) and [one.sql() for one in term.expressions] == ["FALSE"]:
        return _alternatives(term.this)
    if isinstance(term, sql.EQ | sql.NullSafeEQ):
        left, right = term.this, term.expression
        if isinstance(right, sql.Column):
            left, right = right, left
        return _name(left), [_constant(right)]
    if isinstance(term, sql.In) and term.expressions:
        return _name(term.this), [_constant(value) for value in term.expressions]
    return "", []


def _name(tree: Any) -> str:
    return str(tree.name).lower() if isinstance(tree, sql.Column) and not tree.table else ""


def _constant(tree: Any) -> str | bool | None:
    if isinstance(tree, sql.Literal) and tree.is_string:
        return str(tree.this)
    return bool(tree.this) if isinstance(tree, sql.Boolean) else None
