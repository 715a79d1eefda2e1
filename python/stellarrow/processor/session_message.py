"""What people are told of a session: what is wrong with it, or what it waits for."""

from __future__ import annotations

from stellarrow.errors import Unavailable
from stellarrow.ledgers import LedgerSet
from stellarrow.processor.session import Session
from stellarrow.protocols import Guarded, Source
from stellarrow.spool.spool import Spool
from stellarrow.storage.os_errors import is_passing


def waits_for(session: Session, spool: Spool | None, trouble: str) -> str:
    """Say why it ended, or what it waits for; empty while it works."""
    if session.status.is_final:
        return session.message
    if spool and spool.is_full:
        readers = spool.readers
        noun = "reader has" if len(readers) == 1 else "readers have"
        slowest = min(readers, key=lambda name: readers[name], default="")
        return f"paused: the spool is full of what {len(readers)} {noun} not taken yet, least {slowest}"
    return session.message or (f"waiting: {trouble}" if trouble else "")


def source_trouble(session: Session, source: Source | None, away: str) -> str:
    """Say why nothing can be read now, where that passes; empty while any server of the source answers."""
    if session.status.is_final:
        return ""
    guards = source.guards if source is not None and isinstance(source, Guarded) else ()
    errors = [str(guard.last_error or "") for guard in guards]
    return away or (errors[0] if errors and all(errors) else "")


def said_of(left_out: LedgerSet) -> str:
    """Say which ledgers could not be decoded; empty where all could."""
    if not left_out:
        return ""
    which = f"and {left_out.count - 1} more are" if left_out.count > 1 else "is"
    return f"ledger {left_out.first} {which} left out: stellarrow dlq list says why"


def is_of_this_machine(error: Unavailable) -> bool:
    """Tell whether this machine refused something for now, such as one more open file."""
    return isinstance(error.__cause__, OSError) and is_passing(error.__cause__)
