"""What may be freed before its time where a disk is nearly full.

The oldest goes first, and nothing that must be durable elsewhere before it is.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stellarrow.errors import ConfigError
from stellarrow.lifecycle.aging import AgingTable
from stellarrow.lifecycle.plan import (
    ARCHIVE,
    COMPRESS,
    DELETE,
    DELETE_ARCHIVED,
    Plan,
    Step,
    archived_step,
    free_ranges,
    step_of,
)
from stellarrow.lifecycle.policies import Policy

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]B|%)", re.IGNORECASE | re.ASCII)
_UNITS: Final = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


@dataclass(frozen=True, slots=True)
class Room:
    """How much of a folder's disk must stay free, and whether the archive lies on the same one."""

    folder: Path
    least: int
    archive_is_here: bool

    @classmethod
    def of(cls, text: str, name: str, folder: Path, archive: Path | None) -> Room:
        """Read `50GB` or `10%`; `archive` is None where that is no folder of this machine."""
        match = _SIZE.fullmatch(text.strip())
        if not match:
            raise ConfigError(f"{name} is {text[:40]!r}: write it as 50GB or 10%")
        amount, unit = float(match[1]), match[2].upper()
        total = shutil.disk_usage(folder).total
        least = total * amount / 100 if unit == "%" else amount * _UNITS[unit]
        if least >= total:
            raise ConfigError(f"{name} is {text}, and the disk of {folder} has not so much: write less")
        return cls(folder, int(least), archive is not None and _is_one_disk(folder, archive))

    @property
    def lacking(self) -> int:
        """Bytes to free; 0 where enough are."""
        return max(0, self.least - shutil.disk_usage(self.folder).free)


def _is_one_disk(one: Path, other: Path) -> bool:
    there = next(parent for parent in (other, *other.parents) if parent.exists())
    return one.stat().st_dev == there.stat().st_dev


def add_emergency(
    plan: Plan,
    tables: Sequence[AgingTable],
    policies: Mapping[str, Policy],
    room: Room,
    *,
    has_archive: bool,
    now: int,
) -> None:
    """Add to a plan what frees the bytes that are lacking beyond it, as far as policies allow."""
    lacking = room.lacking
    if not lacking:
        return
    for step in plan.steps:
        lacking -= step.bytes if frees(step, room) else 0
    due = {(step.table, step.ledgers) for step in plan.steps}
    may_move = has_archive and not room.archive_is_here
    for step in _candidates(tables, policies, room, may_move=may_move, now=now):
        if lacking <= 0:
            return
        if (step.table, step.ledgers) not in due:
            plan.steps.append(step)
            lacking -= step.bytes
    if lacking > 0:
        plan.problems.append(
            f"{room.folder} lacks {lacking:,} bytes of the {room.least:,} that must be free, and nothing more"
            " may be freed: what must be archived first needs an archive on another disk"
        )


def frees(step: Step, room: Room) -> bool:
    """Tell whether a step frees bytes on the disk that lacks them."""
    if step.action == COMPRESS:
        return False  # how much it frees is known afterwards
    if step.action == ARCHIVE:
        return not room.archive_is_here
    return step.action != DELETE_ARCHIVED or room.archive_is_here


def _candidates(
    tables: Sequence[AgingTable],
    policies: Mapping[str, Policy],
    room: Room,
    *,
    may_move: bool,
    now: int,
) -> Iterator[Step]:
    """Yield what is archived on this disk, what can be archived elsewhere, and what needs no archive.

    Each oldest first. The newest range of a table stays: somebody is writing after it.
    """
    found: list[tuple[int, Step]] = []
    for table in tables:
        policy = policies[table.listing.shape.format.name]
        if room.archive_is_here and policy.delete is not None:
            archived = table.departed.archived
            found += [(0, archived_step(table, ledgers, is_early=True)) for ledgers in archived]
        action, rank = (ARCHIVE, 1) if policy.archive is not None else (DELETE, 2)
        if may_move if action == ARCHIVE else policy.delete is not None:
            older = sorted(free_ranges(table))[:-1]
            found += [(rank, step_of(action, table, one, now, is_early=True)) for one in older]
    yield from (step for _, step in sorted(found, key=lambda one: (one[0], one[1].ledgers)))
