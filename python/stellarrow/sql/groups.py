"""Groups with their figures, merged now and then, within a bound of memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.errors import ConfigError
from stellarrow.sql import windows

_PENDING_BYTES: Final = 8 << 20  # of what waits to be merged, at least


@dataclass(frozen=True, slots=True)
class Limits:
    """What an aggregate may keep: groups, counting each distinct value, and bytes."""

    groups: int = 10_000_000
    size_bytes: int = 2 << 30


@dataclass(slots=True)
class Groups:
    """Groups with their figures, merged now and then."""

    keys: Sequence[str]
    figures: Sequence[tuple[str, str]]
    limits: Limits
    text: str
    _table: pa.Table | None = None
    _pending: list[pa.Table] = field(default_factory=list)
    _pending_bytes: int = 0

    def add(self, rows: pa.Table, functions: Sequence[tuple[str, str]]) -> None:
        """Group rows by the functions of each figure."""
        self._pending.append(self._grouped(rows, functions))
        self._pending_bytes += self._pending[-1].nbytes
        held = 0 if self._table is None else self._table.nbytes
        if self._pending_bytes > max(_PENDING_BYTES, held) or self._count() > self.limits.groups:
            self.merged()

    def merged(self) -> pa.Table | None:
        """Return a row a group; None where there were no rows."""
        if self._pending:
            held = [*([self._table] if self._table is not None else []), *self._pending]
            self._table = self._grouped(pa.concat_tables(held).combine_chunks(), self.figures)
            self._pending, self._pending_bytes = [], 0
            self._check()
        return self._table

    def take_before(self, moment: datetime) -> pa.Table | None:
        """Return, and forget, the groups of windows that begin before a moment."""
        held = self.merged()
        if held is None:
            return None
        is_over = pc.less(held[windows.START], pa.scalar(moment, windows.MOMENT))
        self._table = held.filter(pc.invert(is_over))
        return held.filter(is_over)

    def _count(self) -> int:
        return (0 if self._table is None else len(self._table)) + sum(map(len, self._pending))

    def _check(self) -> None:
        table = self._table
        if table is not None and (len(table) > self.limits.groups or table.nbytes > self.limits.size_bytes):
            many = f"{self.limits.groups:,} groups or {self.limits.size_bytes >> 20:,} MB"
            raise ConfigError(
                f"the aggregate {self.text!r} makes more than {many}, which is the most that is kept: group"
                " by fewer values, add a filter, or ask for fewer ledgers at a time"
            )

    def _grouped(self, rows: pa.Table, functions: Sequence[tuple[str, str]]) -> pa.Table:
        made = rows.group_by(self.keys, use_threads=False).aggregate(list(functions))
        return made.rename_columns([*self.keys, *(name for name, _ in functions)])
