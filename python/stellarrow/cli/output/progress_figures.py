"""How far a run is, as figures."""

from __future__ import annotations

import time

from stellarrow.pipeline import loop


def percent(state: loop.Progress) -> int:
    """Return how much is done, rounded down; 100 only once the last ledger is durable."""
    if not state.wanted:
        return 100
    is_durable = state.committed is not None and state.committed == state.last
    done = state.ledgers + state.quarantined
    return 100 if is_durable and done >= state.wanted else min(99, 100 * done // state.wanted)


def lag(state: loop.Progress) -> float:
    """Return how long ago the last ledger closed, in seconds."""
    return max(0.0, time.time() - state.last_closed_at) if state.last_closed_at else 0.0
