"""Which columns of tables are asked for, by name or made in SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from stellarrow.core.arguments import as_select
from stellarrow.core.rows import imported
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


class Handed(Batches):
    """Batches of the core: each becomes pyarrow's when it is asked for; `as_made` hands it on before.

    To import a schema of twenty columns, and to export it again, costs more than to count its rows.
    """

    def as_made(self, name: str) -> Any:
        """Return what the core made, or what became of it: it has `num_rows` and Arrow's capsules."""
        return super().__getitem__(name)

    def __getitem__(self, name: str) -> pa.RecordBatch:
        rows = self.as_made(name)
        if not isinstance(rows, pa.RecordBatch):
            rows = self[name] = imported(rows)
        return rows

    def __iter__(self) -> Iterator[str]:
        """Iterate as a dict does; one whose iteration is its own is copied item by item, as asked for."""
        return super().__iter__()

    def get(self, name: str, default: Any = None) -> Any:
        """Return a batch, as a dict does."""
        return self[name] if name in self else default  # noqa: SIM401  this is get

    def values(self) -> Any:
        """Return all batches, as a dict does."""
        return self.copy().values()

    def items(self) -> Any:
        """Return all names and batches, as a dict does."""
        return self.copy().items()

    def copy(self) -> dict[str, pa.RecordBatch]:
        """Return all batches in a plain dict."""
        return {name: self[name] for name in self}

    def pop(self, name: str, *default: Any) -> Any:
        """Take a batch out, as a dict does."""
        rows = super().pop(name, *default)
        return imported(rows) if hasattr(rows, "num_rows") else rows

    def popitem(self) -> tuple[str, pa.RecordBatch]:
        """Take the last batch out, as a dict does."""
        name, rows = super().popitem()
        return name, imported(rows)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Return a batch, which it has from now on, as a dict does."""
        if name not in self:
            self[name] = default
        return self[name]

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    def __eq__(self, other: object) -> bool:
        return self.copy() == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]  # as of a dict


def as_made(batches: Mapping[str, pa.RecordBatch], name: str) -> Any:
    """Return a batch as the core made it where nobody has asked for pyarrow's yet."""
    return batches.as_made(name) if isinstance(batches, Handed) else batches[name]


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
