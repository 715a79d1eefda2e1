"""Which columns of tables are asked for, by name or made in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from stellarrow.core.arguments import as_select
from stellarrow.core.tables import compiled, schema, table
from stellarrow.errors import ConfigError
from stellarrow.filter import Filter


class Batches(dict[str, pa.RecordBatch]):
    """Record batches under the names they were asked by; `name` and `name@version` both find them."""

    def __missing__(self, name: str) -> pa.RecordBatch:
        for asked in self:
            if _same_table(asked, name):
                return self[asked]
        raise KeyError(name)


def _same_table(asked: str, name: str) -> bool:
    try:
        return table(asked) == table(name)
    except ConfigError:
        return False


@dataclass(frozen=True, slots=True)
class Projection:
    """What rows are made with, and which of the columns made are kept of each table, None for all."""

    where: Filter
    kept: Mapping[str, Sequence[str]] | None = None

    @classmethod
    def of(
        cls, tables: Sequence[str], where: Filter, columns: Sequence[str] | None, *, decoded: bool
    ) -> Projection:
        """Choose columns of tables, given as names or SQL; names alone need no extra."""
        if columns is None:
            return cls(where)
        if where.select:
            raise ConfigError("columns say what the filter's select says: give one of them")
        names = {name: schema(name, decoded=decoded).names for name in tables}
        if all({*columns} <= {*known} for known in names.values()):
            return cls(where, dict.fromkeys(tables, columns))
        made = replace(where, select=as_select(columns, {one for known in names.values() for one in known}))
        asked = {name: compiled(name, made, decoded=decoded) for name in tables}
        return cls(made, {name: one.asked.names for name, one in asked.items() if one})

    def of_batches(self, batches: Batches) -> Batches:
        """Keep the columns that were asked for, in their order."""
        if self.kept is None:
            return batches
        return Batches({name: batch.select([*self.kept[name]]) for name, batch in batches.items()})
