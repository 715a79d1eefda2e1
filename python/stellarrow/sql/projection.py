"""The columns a select asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from stellarrow.errors import ConfigError
from stellarrow.extras import needing
from stellarrow.sql.compiler import Value, compiled, field_named
from stellarrow.sql.numbers import narrow
from stellarrow.sql.parsing import Condition, shown

with needing("SQL", "sql"):
    from sqlglot import expressions as sql


@dataclass(frozen=True, slots=True)
class Column:
    """A column that comes out: one of the table as it is, or a value."""

    field: pa.Field
    value: Value | None

    def array(self, batch: pa.RecordBatch) -> pa.Array:
        if self.value is None:
            return batch.column(self.field.name)
        made = narrow(self.value.evaluate(batch))
        return pa.repeat(made, batch.num_rows) if isinstance(made, pa.Scalar) else made


def projected(trees: Sequence[Condition], columns: pa.Schema, table: str) -> list[Condition]:
    """Write out `*` and `* exclude (…)`, and refuse two columns of one name."""
    wanted = [one for tree in trees for one in _written_out(tree, columns, table)]
    names = [one.alias_or_name.lower() for one in wanted]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"select: two columns are called {name!r}: name one otherwise, with AS")
    return wanted


def _written_out(tree: Any, columns: pa.Schema, table: str) -> Iterator[Condition]:
    if not isinstance(tree, sql.Star):
        yield tree
        return
    if tree.args.get("replace") or tree.args.get("rename"):
        raise ConfigError(f"select: {shown(tree)} is not understood: write the columns out")
    out = {field_named(one.name, columns, table).name for one in tree.args.get("except_") or ()}
    yield from (sql.column(name, quoted=True) for name in columns.names if name not in out)


def column(tree: Any, columns: pa.Schema, table: str, whole: pa.Schema) -> Column:
    """Compile one column of a select."""
    inner = tree.this if isinstance(tree, sql.Alias) else tree
    if isinstance(inner, sql.Column):
        compiled(inner, columns, table, whole)
        held = field_named(inner.name, columns, table)
        name = tree.alias or held.name
        value = None if name == held.name else compiled(inner, columns, table, whole)
        return Column(held.with_name(name), value)
    if not tree.alias:
        raise ConfigError(f"select: {shown(tree)} has no name: write {shown(tree)} AS name")
    value = compiled(inner, columns, table, whole)
    report = {"description": shown(inner)}
    return Column(pa.field(tree.alias, narrow(value.sample).type, metadata=report), value)
