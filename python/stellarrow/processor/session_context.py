"""What the sessions of one processor share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stellarrow.ledgers import Network
from stellarrow.processor.session_decoder import Slots, Ways
from stellarrow.processor.session_store import Store
from stellarrow.protocols import Source
from stellarrow.spool.spool import Retention
from stellarrow.telemetry.metrics import Metrics
from stellarrow.telemetry.rates import Recent


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext:
    """What the sessions of one processor share.

    `network` is None where each source has to tell; without `dead_letters`, a ledger that cannot be decoded
    ends its session; `commits` are seconds; `changed` is told of everything readers wait for.
    """

    open_source: Callable[[], Source]
    network: Network | None
    store: Store
    slots: Slots
    ways: Ways
    workers: int
    budget_mb: int
    retention: Retention
    dead_letters: Path | None
    commits: Recent
    metrics: Metrics
    kind: str
    changed: threading.Condition
