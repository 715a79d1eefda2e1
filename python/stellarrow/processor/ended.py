"""What becomes of the output of sessions that have ended, and of output that no session is known of."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from stellarrow.processor.kept_readers import is_read
from stellarrow.processor.session import Session
from stellarrow.processor.session_worker import SessionWorker

_ENDED: Final = 100  # sessions of which the output stays
_log: Final = logging.getLogger(__name__)


def found_forgotten(state_dir: Path, remembered: Sequence[Session]) -> list[str]:
    """Return a sentence on each session that kept something, and of which nothing is remembered."""
    known = {one.id for one in remembered}
    forgotten = sorted(
        one for one in (state_dir / "sessions").glob("*/spool.json") if one.parent.name not in known
    )
    lines = [
        f"{one.parent} is of no session that is remembered: put a sound copy of sessions.sqlite3 back, or"
        " move the folder away"
        for one in forgotten
    ]
    for one in lines:
        _log.error("%s", one)
    return lines


def discard_old(works: Iterable[SessionWorker], age: float) -> None:
    """Delete the output of sessions that ended longer ago than it is kept, unless someone reads it."""
    for work in works:
        is_old = work.session.status.is_final and work.session.updated_at + age < time.time()
        if is_old and (work.lost or (work.spool and not is_read(work.spool))):
            work.discard()


def discard_many(works: Iterable[SessionWorker]) -> list[SessionWorker]:
    """Let go of what all but the latest sessions that ended had kept; return those that never had any."""
    # One without tables is of a newer version, which may want to go on with it.
    ended = [work for work in works if work.session.status.is_final and work.session.tables]
    ended.sort(key=lambda work: work.session.updated_at)
    vain = []
    for work in ended[:-_ENDED]:
        if work.spool and is_read(work.spool):
            continue  # once they have it
        work.discard()
        if work.session.is_vain:
            vain.append(work)
    return vain
