"""Which parts of a condition the core's filter can answer, so that the walk makes fewer rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa

from stellarrow.extras import needing
from stellarrow.filter import Filter
from stellarrow.sql.parsing import Condition

with needing("SQL", "sql"):
    from sqlglot import expressions as sql

# By column: the filter's field that keeps every row with one of its values, and what such a value looks like.
# It may keep others, as the condition is asked again; one field must not mix two columns.
_CONTRACT: Final = re.compile(r"C[A-Z2-7]{55}")
_ACCOUNT: Final = re.compile(r"G[A-Z2-7]{55}")
_EVENT: Final = re.compile("contract|system|diagnostic|transfer|mint|burn|clawback|fee")
_OPERATION: Final = re.compile(
    "create_account|payment|path_payment_strict_(receive|send)|(create|claim|clawback)_claimable_balance"
    "|clawback|liquidity_pool_(deposit|withdraw)|invoke_host_function|account_merge|manage_(buy|sell)_offer"
)
_FIELDS: Final = {
    "contract_id": ("contract_ids", _CONTRACT),
    "asset_issuer": ("asset_issuers", _ACCOUNT),
    "asset_code": ("asset_codes", re.compile(r"(?!(native|XLM)$)[A-Za-z0-9]{1,12}")),
    "event_name": ("event_names", re.compile(r"[A-Za-z0-9_]{1,32}")),
    "event_type": ("event_types", _EVENT),
    "operation_type": ("event_types", _OPERATION),
    "from": ("accounts", re.compile(r"[GC][A-Z2-7]{55}")),
    "to": ("accounts", re.compile(r"[GC][A-Z2-7]{55}")),
}


def pushed(condition: Condition | None, columns: pa.Schema, where: Filter) -> Filter:
    """Return the filter with what the condition adds to it; fields that were given stay as they are."""
    found: dict[str, Any] = {}
    for term in _terms(condition):
        name, values = _alternatives(term)
        if name == "deleted" and values == [False]:
            found["include_deleted"] = False
        elif name in _FIELDS and name in columns.names:
            field, like = _FIELDS[name]
            if not getattr(where, field) and all(
                isinstance(value, str) and like.fullmatch(value) for value in values
            ):
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
