"""What the sessions keep, pushed to another Flight server, each ledger once whatever breaks.

How far that is, the receiver's acknowledgements say: what it has not acknowledged is pushed again, and it
drops what it has. The sessions' spools keep what is behind, as for any reader.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any, Final

import pyarrow as pa

from stellarrow.core.tables import schema
from stellarrow.errors import StellarrowError
from stellarrow.forwarding.positions import Positions
from stellarrow.forwarding.push_client import Expected, PushClient, Pushing
from stellarrow.net.credentials import NO_CREDENTIALS, ClientCredentials
from stellarrow.processor.processor import Processor
from stellarrow.processor.reads.batching import Sent
from stellarrow.processor.reads.cursor import Cursor, Place
from stellarrow.processor.reads.request import Command
from stellarrow.processor.reads.session_stream import of_sessions
from stellarrow.processor.session_worker import SessionWorker
from stellarrow.telemetry.health import Check

_FILE: Final = "forwarded.json"
_FIRST_WAIT: Final = 0.2
_LONGEST_WAIT: Final = 10.0
_LOOK_SECONDS: Final = 0.5  # between looks at whether there is more
_log: Final = logging.getLogger(__name__)


class Forwarder:
    """Pushes every table the sessions keep to one server, each in a thread of its own.

    Made before sessions go on, so that nothing that was not acknowledged is removed meanwhile.
    """

    def __init__(
        self, processor: Processor, url: str, *, credentials: ClientCredentials = NO_CREDENTIALS
    ) -> None:
        client = PushClient(url, credentials=credentials)
        self._positions = Positions(processor.options.state_dir / _FILE, client.name)
        self.tables = [
            TableForwarder(processor, client, name, self._positions) for name in processor.options.kept
        ]

    def start(self) -> None:
        for one in self.tables:
            one.start()

    def close(self) -> None:
        """Give the calls up; what was acknowledged is noted."""
        for one in self.tables:
            one.stop()
        for one in self.tables:
            one.join()
        self._positions.save()

    def check(self) -> Check:
        """Say whether what the sessions keep gets there."""
        troubles = dict.fromkeys(str(one.trouble) for one in self.tables if one.trouble)
        behind = {one.table: one.behind for one in self.tables}
        return Check("output", not troubles, "; ".join(troubles), behind, essential=False)


class TableForwarder:
    """One table's way; `trouble` is what is in the way now."""

    def __init__(self, processor: Processor, client: PushClient, table: str, positions: Positions) -> None:
        self.table = table
        self.trouble: StellarrowError | None = None
        self._processor = processor
        self._client = client
        self._command = Command(table=table)
        self._positions = positions
        self._holds = f"{client.name} acknowledged {table} -"
        self._sequence = 0
        self._has_moved = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"stellarrow-push-{table}", daemon=True)
        self._hold_all()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def join(self) -> None:
        if self._thread.ident is not None:
            self._thread.join(_LONGEST_WAIT)

    @property
    def behind(self) -> int:
        """How many ledgers that are kept are not acknowledged, in the session farthest behind."""
        spools = [(work, work.spool) for work in self._works()]
        return max(
            (spool.last - self._after(work) for work, spool in spools if spool and spool.last), default=0
        )

    def _works(self) -> list[SessionWorker]:
        return [work for work in self._processor.works() if self.table in work.kept_tables]

    def _after(self, work: SessionWorker) -> int:
        """Return the last ledger of a session that was acknowledged, or the one before its first."""
        return self._positions.get(self.table, work.session.id) or work.session.ledgers.first - 1

    def _hold(self, work: SessionWorker) -> None:
        """Let a session's spool keep what is not acknowledged."""
        if work.spool:
            work.spool.register(self._holds, after=self._after(work))

    def _hold_all(self) -> None:
        for work in self._works():
            self._hold(work)

    def _wait(self, seconds: float) -> None:
        """Wait, and meanwhile let sessions that begin keep what is to be pushed."""
        deadline = time.monotonic() + seconds
        while not self._stop.is_set() and (left := deadline - time.monotonic()) > 0:
            self._hold_all()
            self._stop.wait(min(left, _LOOK_SECONDS))

    def _run(self) -> None:
        wait = _FIRST_WAIT
        while not self._stop.is_set():
            self._has_moved = False
            self._hold_all()
            try:
                if self.behind > 0:
                    self._push_all()
                    self.trouble = None
                self._wait_for_more()
            except StellarrowError as error:
                self._note(error)
                wait = _FIRST_WAIT if self._has_moved else min(wait * 2, _LONGEST_WAIT)
                self._wait(wait)
            except Exception as error:
                _log.exception("unexpected error while %s is pushed", self.table)
                self._note(StellarrowError(f"unexpected: {error!r}; the log has more"))
                self._wait(_LONGEST_WAIT)

    def _note(self, error: StellarrowError) -> None:
        if isinstance(error, Expected):
            _log.info("%s; going back to ledger %d", error, error.ledger)
            self._positions.set(self.table, error.producer, error.ledger - 1)
            return
        if str(error) != str(self.trouble):
            _log.warning("%s is not pushed: %s", self.table, error)
        self.trouble = error

    def _wait_for_more(self) -> None:
        with self._processor.changed:
            self._processor.changed.wait_for(lambda: self._stop.is_set() or self.behind > 0, _LOOK_SECONDS)

    def _push_all(self) -> None:
        """Push what is behind the last acknowledgement, then follow, until all sessions have ended."""
        places = {work.session.id: Place(self._after(work)) for work in self._works()}
        command = replace(self._command, origin=Cursor(self._command.shape, places).token())
        with self._client.pushing(self.table, schema(self.table)) as pushing:
            stream = of_sessions(
                self._processor,
                command,
                cancelled=lambda: self._stop.is_set() or pushing.has_ended,
                reader=f"output {self._client.name}",
            )
            with closing(stream):
                for batch in whole_ledgers(stream):
                    self._push(pushing, batch)

    def _push(self, pushing: Pushing, batch: Sent) -> None:
        work = self._processor.work(batch.session)
        self._hold(work)
        self._sequence += 1
        left_out = str(work.left_out)
        says: dict[str, Any] = {
            "first_ledger": batch.first,
            "last_ledger": batch.last,
            "producer": batch.session,
            "sequence": self._sequence,
            "begins": work.session.ledgers.first,
            "network": batch.network,
            **({"left_out": left_out} if left_out else {}),
        }
        pushing.push(batch.rows, says, partial(self._acknowledged, work, batch.last))

    def _acknowledged(self, work: SessionWorker, ledger: int) -> None:
        self.trouble, self._has_moved = None, True
        self._positions.set(self.table, work.session.id, ledger)
        self._hold(work)


def whole_ledgers(stream: Iterable[tuple[Sent, str]]) -> Iterator[Sent]:
    """Join what is sent until it is of whole ledgers."""
    parts: list[Sent] = []
    for sent, _ in stream:
        parts.append(sent)
        if sent.complete:
            rows = sent.rows if len(parts) == 1 else pa.concat_batches([part.rows for part in parts])
            yield replace(sent, first=parts[0].first, rows=rows)
            parts.clear()
