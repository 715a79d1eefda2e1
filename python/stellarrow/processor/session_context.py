"""What the sessions of one processor share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stellarrow.core.tables import table
from stellarrow.enrichment.tokens import Tokens
from stellarrow.errors import SinkUnavailable
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerBatch, Network
from stellarrow.pipeline.dead_letters import DeadLetter, DeadLetters
from stellarrow.pipeline.joining import TOGETHER_BYTES
from stellarrow.processor.kept_readers import KeptReaders
from stellarrow.processor.session_decoder import Filtered, Slots, Ways
from stellarrow.processor.session_figures import FiguresRoom
from stellarrow.processor.session_sink import Committed
from stellarrow.processor.session_store import Store
from stellarrow.processor.typed_sessions import TypedSessions
from stellarrow.protocols import Source
from stellarrow.spool.retention import Retention
from stellarrow.spool.spool import Spool
from stellarrow.telemetry.metrics import Metrics
from stellarrow.telemetry.rates import Recent

_ROOM_SHARE: Final = 64  # of a spool, its writer looks for room this often at least


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
    figures: FiguresRoom
    budget_mb: int
    retention: Retention
    dead_letters: Path | None
    commits: Recent
    metrics: Metrics
    kind: str
    changed: threading.Condition
    tokens: Tokens
    readers: KeptReaders
    typed: TypedSessions | None = None

    def open_spool(
        self, folder: Path, tables: Sequence[str], network: Network, stop: threading.Event, committed: int
    ) -> Spool:
        """Open a session's spool, in which everything up to the committed ledger must be."""
        if committed and not folder.exists():
            raise SinkUnavailable(f"the spool in {folder} is not there: mount its disk, and it continues")
        return Spool(
            folder,
            tables,
            network=network,
            retention=self.retention,
            changed=self.changed,
            stop=stop,
            committed=committed,
            columns=self.typed.columns(folder, tables) if self.typed else {},
        )

    def decoder(self, folder: Path, tables: Sequence[str], network: Network, where: Filter) -> Filtered:
        """Return a session's decoder, whose filter holds from its first ledger on."""
        follower = self.typed.follower(folder, tables, network) if self.typed else None
        return Filtered(
            tables,
            network=network,
            where=where,
            slots=self.slots,
            ways=self.ways,
            follower=follower,
            together=min(TOGETHER_BYTES, self.retention.size_bytes // _ROOM_SHARE),
        )

    def learn(self, batch: LedgerBatch) -> None:
        """Note what ledgers say of tokens, where sessions keep what says it."""
        for name, rows in batch.tables.items():
            if table(name).name == "contract_data":
                self.tokens.learn(rows)

    def count(self, kept: Committed) -> None:
        """Count what a session has committed."""
        self.commits.add(kept.took)
        self.metrics.processing_duration.labels(self.kind, "commit").observe(kept.took)
        self.metrics.ledgers_processed.labels(self.kind, "success").inc(kept.counts.ledgers)
        self.metrics.batches_generated.labels(self.kind).inc(kept.counts.batches)
        self.metrics.contracts_found.inc(kept.counts.entries)
        self.metrics.current_ledger.labels(self.kind).set(kept.last.last)

    def count_loss(self, letter: DeadLetter) -> None:
        """Count ledgers that a session left out."""
        quarantined = self.metrics.ledgers_processed.labels(self.kind, "quarantined")
        quarantined.inc(letter.last - letter.ledger + 1)

    def count_error(self) -> None:
        """Count a session that ended with an error."""
        self.metrics.ledgers_processed.labels(self.kind, "error").inc()

    def letters(
        self, session: str, network: Network, put_aside: Callable[[DeadLetter], None]
    ) -> DeadLetters | None:
        """Return where undecodable ledgers are kept; a retry makes all rows, not those of a filter."""
        if self.dead_letters is None:
            return None
        job = {
            "service": "processor",
            "session": session,
            "network": network.passphrase,
            "where": "",
            "decoded": False,
            "transfers": "derive",
        }
        return DeadLetters(self.dead_letters, job=job, put_aside=put_aside)
