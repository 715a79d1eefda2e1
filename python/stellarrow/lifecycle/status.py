"""What of each table is here, archived, deleted and due."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from stellarrow.errors import LedgerMissing, SinkError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.lifecycle.aging import AgingTable
from stellarrow.lifecycle.plan import Plan
from stellarrow.lifecycle.run import Lifecycle
from stellarrow.sinks.files.again import CHANCES
from stellarrow.sinks.files.departed import ARCHIVED


@dataclass(frozen=True, slots=True)
class TableStatus:
    """A table: ledgers by where they are, what is due by action; `next_due` is unix seconds, or None."""

    table: str
    here: LedgerSet
    bytes: int
    archived: LedgerSet
    deleted: LedgerSet
    archives: tuple[str, ...]
    due: dict[str, LedgerSet] = field(default_factory=dict)
    next_due: int | None = None
    waiting: str = ""  # what is old enough to be compressed, and why it waits

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "table": self.table,
            "here": str(self.here),
            "bytes": self.bytes,
            "archived": str(self.archived),
            "deleted": str(self.deleted),
            "archives": list(self.archives),
            "due": {action: str(ledgers) for action, ledgers in self.due.items()},
            "next_due": self.next_due,
            "waiting": self.waiting,
        }


def status_of(lifecycle: Lifecycle) -> tuple[list[TableStatus], list[str]]:
    """Look at every table; return what of it is where, and what hinders."""
    for _ in range(CHANCES):
        found, plan = _looked(lifecycle)
        if not plan.is_stale:
            break
    return found, plan.problems


def _looked(lifecycle: Lifecycle) -> tuple[list[TableStatus], Plan]:
    plan, tables = lifecycle.planned()
    due: dict[str, dict[str, list[LedgerRange]]] = {}
    for step in plan.steps:
        due.setdefault(step.table, {}).setdefault(step.action, []).append(step.ledgers)
    found = []
    for table in tables.values():
        try:
            status = _status(lifecycle, table, due.get(table.name, {}))
            found.append(replace(status, waiting=plan.waiting.get(table.name, "")))
        except SinkError as error:
            plan.hindered(table.name, error)
    return found, plan


def _status(lifecycle: Lifecycle, table: AgingTable, due: dict[str, list[LedgerRange]]) -> TableStatus:
    departed = table.departed
    return TableStatus(
        table.name,
        LedgerSet(table.parts),
        sum(table.size(one) for one in table.parts),
        LedgerSet(departed.archived) - LedgerSet(departed.deleted),
        LedgerSet(departed.deleted),
        _archives(table),
        {action: LedgerSet(ranges) for action, ranges in due.items()},
        _next_due(lifecycle, table, due),
    )


def _archives(table: AgingTable) -> tuple[str, ...]:
    """Return where the oldest and the newest archived range are."""
    ranges = sorted(table.departed.archived)
    found = [table.listing.record(one, ARCHIVED).archive for one in {*ranges[:1], *ranges[-1:]}]
    return tuple(sorted(set(found)))


def _next_due(lifecycle: Lifecycle, table: AgingTable, due: dict[str, list[LedgerRange]]) -> int | None:
    """Return when the oldest range that is here and not due will be, at the earliest."""
    policy = lifecycle.policies[table.listing.shape.format.name]
    age = policy.archive if policy.archive is not None else policy.delete
    rest = {*table.parts} - {one for ranges in due.values() for one in ranges}
    if age is None or not rest:
        return None
    try:
        return table.times.closed_at(min(rest).end) + age
    except LedgerMissing:
        return None
