"""Which ledgers a service's settings ask for: by number, or by dates that the source is asked about once."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from stellarrow.config import Processor
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.pipeline.close_times import CloseTimes
from stellarrow.protocols import Source
from stellarrow.storage.atomic import written_aside
from stellarrow.storage.private import private_file, private_folder

_ALL: Final = "all the source has"
_FILE: Final = "ledgers-by-date.json"  # what dates in settings were found to mean


def asked_ledgers(
    settings: Processor, open_source: Callable[[], AbstractContextManager[Source]]
) -> LedgerRange:
    """Return the range from START_LEDGER to END_LEDGER.

    What a date means is kept beside the sessions: a source that forgets its oldest ledgers would answer
    otherwise at the next start, and another session would begin.
    """
    text = settings.ledgers_asked
    if not settings.by_date:
        return LedgerRange.parse(text)
    path = settings.state_dir / _FILE
    known = _known(path)
    if text not in known:
        with open_source() as source:
            times = CloseTimes.of_source(source)
            known[text] = str(LedgerRange.parse(text, known=source.available, times=times))
        _keep(path, known)
    return LedgerRange.parse(known[text])


def all_of_source(state_dir: Path, source: Source) -> LedgerSet:
    """Return all the source has, or had when it was first asked, and what follows; empty: it has none."""
    path = state_dir / _FILE
    known = _known(path)
    if _ALL not in known:
        if not (found := source.available()):
            return found
        *closed, last = found
        known[_ALL] = str(LedgerSet([*closed, LedgerRange(last.first)]))
        _keep(path, known)
    return LedgerSet.parse(known[_ALL])


def _keep(path: Path, known: dict[str, str]) -> None:
    private_folder(path.parent)
    with written_aside(path) as aside, private_file(aside, "x") as file:
        json.dump(known, file, indent=1)


def _known(path: Path) -> dict[str, str]:
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}  # none yet, or one that is cut: the source is asked again
