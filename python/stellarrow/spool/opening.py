"""Opening what a spool's folder holds: all of it, or Damaged, and then nothing is changed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa

from stellarrow.errors import Damaged
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.spool.metadata import Facts
from stellarrow.spool.segment import Segment
from stellarrow.spool.table_file import damaged

_NOTHING_CHANGED: Final = "nothing was changed; restore a sound copy, or start a new session"


def open_segments(
    folder: Path, facts: Facts, schemas: Mapping[str, pa.Schema], *, committed: int
) -> list[Segment]:
    """Return the segments by their ledgers, which reach what is known to be committed at least."""
    paths = {int(path.name): path for path in folder.iterdir() if path.name.isdecimal()}
    left = [paths.pop(first) for first in list(paths) if first in facts.gone]  # as a crash leaves them
    if missing := set(facts.sealed or ()) - set(paths):
        raise damaged(folder / f"{min(missing):010d}", 0, "it is missing")
    opened = [
        segment
        for first in sorted(paths)
        if (segment := _opened(paths[first], facts, schemas, committed, is_last=first == max(paths)))
    ]
    kept = LedgerSet(LedgerRange(one.first, one.last) for one in opened) | facts.gone
    if committed > (last := kept.last if kept else 0):
        raise Damaged(
            f"{folder} ends with ledger {last}, but ledger {committed} was committed: {_NOTHING_CHANGED}"
        )
    if facts.sealed is None:  # no checksum says that they are gone
        _check_gone(folder, facts, left, schemas)
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return opened


def _opened(
    path: Path, facts: Facts, schemas: Mapping[str, pa.Schema], committed: int, *, is_last: bool
) -> Segment | None:
    first = int(path.name)
    is_sealed = facts.sealed is None or first in facts.sealed
    if is_last and first not in (facts.sealed or ()):
        return Segment.open(path, schemas, tail=committed)
    if not is_sealed:
        return Segment.open(path, schemas, tail=0)  # it was begun, but never used
    segment = Segment.open(path, schemas)
    if segment and facts.sealed and segment.last != facts.sealed[first]:
        raise damaged(path, 0, f"it ends with ledger {segment.last}, not {facts.sealed[first]}")
    return segment


def _check_gone(folder: Path, facts: Facts, left: list[Path], schemas: Mapping[str, pa.Schema]) -> None:
    """Refuse what no crash leaves: more than one segment, or one that was not the last to go."""
    segments = [Segment.open(path, schemas) for path in left]
    ends = {part.end for part in facts.gone}
    if len(segments) > 1 or any(one and one.last not in ends for one in segments):
        raise Damaged(
            f"{folder} says that ledgers are gone which are there, as those in {left[0]}: {_NOTHING_CHANGED}"
        )
