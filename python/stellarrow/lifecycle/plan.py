"""What is due, file by file: told from names, one listing a table and a search for each age."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from stellarrow.errors import SinkError
from stellarrow.ledgers import LedgerRange
from stellarrow.lifecycle.aging import Ages, AgingTable
from stellarrow.lifecycle.compressing import compressible, unmerged
from stellarrow.lifecycle.policies import Policy
from stellarrow.sinks.files.departed import ARCHIVED, DELETED, Record
from stellarrow.sinks.files.layout import superseded
from stellarrow.storage.files import Gone

COMPRESS: Final = "compress"
ARCHIVE: Final = "archive"
DELETE: Final = "delete"
DELETE_ARCHIVED: Final = "delete archived"
FINISH: Final = "finish"  # what was archived or deleted, and whose files did not all go


@dataclass(frozen=True, slots=True)
class Step:
    """One range of a table, and what is to be done with its files; `closed_by` is unix seconds.

    One that `is_early` is taken for want of room, and only as long as that lasts. Of one that was taken
    `stays` says that its files stay as they were: compressed anew they are no smaller.
    """

    action: str
    table: str
    ledgers: LedgerRange
    files: tuple[str, ...]
    bytes: int
    closed_by: int
    is_early: bool = False
    stays: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            "action": self.action,
            "table": self.table,
            "ledgers": str(self.ledgers),
            "files": list(self.files),
            "bytes": self.bytes,
            "early": self.is_early,
            "stays": self.stays,
        }


@dataclass(slots=True)
class Plan:
    """The steps in the order to take them, and what hinders others."""

    steps: list[Step] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    waiting: dict[str, str] = field(default_factory=dict)  # by table, what is old enough, and why it waits
    is_stale: bool = (
        False  # a file went after it was listed: another writer merged it, or another run took it
    )

    def hindered(self, name: str, error: SinkError) -> None:
        """Note why nothing is planned for a table, or a place."""
        self.problems.append(f"{name}: {error}" if name else str(error))
        self.is_stale |= isinstance(error, Gone)


def made_plan(
    tables: Sequence[AgingTable], policies: Mapping[str, Policy], *, has_archive: bool, now: int
) -> Plan:
    """Say what is due in every table; damage of one hinders no other."""
    plan, ages = Plan(), Ages(tables)
    for table in tables:
        policy = policies[table.listing.shape.format.name]
        try:
            _plan_table(plan, table, policy, ages, has_archive=has_archive, now=now)
        except SinkError as error:
            plan.hindered(table.name, error)
    return plan


def _plan_table(
    plan: Plan, table: AgingTable, policy: Policy, ages: Ages, *, has_archive: bool, now: int
) -> None:
    contested = set()
    for ledgers in sorted(left_behind(table)):
        if is_again(table, ledgers):
            contested.add(ledgers)
        else:
            plan.steps.append(step_of(FINISH, table, ledgers, now))
    waits = sorted(free_ranges(table) | contested)
    if policy.archive is not None:
        due = [*_due(table, waits, ages, now - policy.archive)]
        if has_archive:
            plan.steps += [step_of(ARCHIVE, table, one, now - policy.archive) for one in due]
        elif due:
            plan.problems.append(
                f"{table.name}: ledgers {due[0].first} to {due[-1].end} are due to be archived: name where,"
                " with --archive"
            )
    elif policy.delete is not None:
        cutoff = now - policy.delete
        plan.steps += [step_of(DELETE, table, one, cutoff) for one in _due(table, waits, ages, cutoff)]
    plan.steps += _archived_due(table, policy, now)
    if policy.compress is not None:
        leaving = {step.ledgers for step in plan.steps if step.table == table.name}
        reach = ages.closed_by(table, now - policy.compress)
        parts = compressible(table, reach, leaving)
        plan.steps += [compress_step(table, one, now - policy.compress) for one in parts]
        if waits_for := unmerged(table, reach, leaving):
            plan.waiting[table.name] = waits_for


def left_behind(table: AgingTable) -> set[LedgerRange]:
    """Return the ranges that have a record, and files or an entry here all the same."""
    there = table.entered | table.files.keys()
    return {one for one in there if one in table.departed.archived or one in table.departed.deleted}


def is_again(table: AgingTable, ledgers: LedgerRange) -> bool:
    """Tell whether a range came again after its record was closed: that names no files any more."""
    return ledgers in table.parts and not left_record(table, ledgers).entry.files


def left_record(table: AgingTable, ledgers: LedgerRange) -> Record:
    """Read why a range left; where it did both, it was archived first and is about to be deleted."""
    state = ARCHIVED if ledgers in table.departed.archived else DELETED
    return table.listing.record(ledgers, state)


def free_ranges(table: AgingTable) -> set[LedgerRange]:
    """Return the ranges that count and are nobody's leftovers; what compaction replaced it removes itself."""
    return {*table.parts} - superseded(table.parts) - left_behind(table)


def _due(table: AgingTable, ranges: Sequence[LedgerRange], ages: Ages, second: int) -> Iterator[LedgerRange]:
    if not ranges or (reach := ages.closed_by(table, second)) is None:
        return
    yield from (one for one in ranges if one.end <= reach)


def _archived_due(table: AgingTable, policy: Policy, now: int) -> Iterator[Step]:
    """Yield archived ranges that are due to go; who died at one left it both archived and deleted."""
    if policy.delete is None:
        due = set(table.departed.archived & table.departed.deleted)
    else:
        due = set(_first_ones(table, now - policy.delete))
        due |= table.departed.archived & table.departed.deleted
    yield from (archived_step(table, ledgers) for ledgers in sorted(due))


def archived_step(table: AgingTable, ledgers: LedgerRange, *, is_early: bool = False) -> Step:
    """Return the step that deletes a range where it is archived."""
    record = table.listing.record(ledgers, ARCHIVED)
    files = tuple(f"{record.archive}/{table.name}/{kept.path}" for kept in record.entry.files)
    size = sum(kept.bytes for kept in record.entry.files)
    return Step(DELETE_ARCHIVED, table.name, ledgers, files, size, record.closed_by, is_early)


def _first_ones(table: AgingTable, second: int) -> Sequence[LedgerRange]:
    """Return the archived ranges that had closed by a second: ledgers close in order, so few are read."""
    ranges = sorted(table.departed.archived)
    return ranges[: _bisected(ranges, lambda one: table.listing.record(one, ARCHIVED).closed_by > second)]


def _bisected(ranges: Sequence[LedgerRange], is_beyond: Callable[[LedgerRange], bool]) -> int:
    low, high = 0, len(ranges)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_beyond(ranges[middle]) else (middle + 1, high)
    return low


def step_of(
    action: str, table: AgingTable, ledgers: LedgerRange, closed_by: int, *, is_early: bool = False
) -> Step:
    """Return a step for a range that is here."""
    files = tuple(file.path for file in table.files.get(ledgers, ()))
    return Step(action, table.name, ledgers, files, table.size(ledgers), closed_by, is_early)


def compress_step(table: AgingTable, parts: Sequence[LedgerRange], closed_by: int) -> Step:
    """Return the step that makes one compressed range of some neighbours."""
    whole = LedgerRange(parts[0].first, parts[-1].end)
    files = [file for one in parts for file in table.files.get(one, ())]
    size = sum(file.bytes for file in files)
    return Step(COMPRESS, table.name, whole, tuple(file.path for file in files), size, closed_by)
