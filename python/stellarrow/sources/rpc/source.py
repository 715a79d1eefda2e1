"""Several nodes as one source: paging ahead, failover, following the chain."""

from __future__ import annotations

import logging
import threading
from binascii import Error as Base64Error
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from stellarrow.core.framing import frame
from stellarrow.errors import (
    ConfigError,
    LedgerMissing,
    NetworkMismatch,
    SourceError,
    SourceUnavailable,
    Stopped,
)
from stellarrow.extras import needing
from stellarrow.ledgers import LedgerChunk, LedgerRange, LedgerSet, Network
from stellarrow.net.credentials import NO_CREDENTIALS, ClientCredentials
from stellarrow.net.resilience import Guard, Policy
from stellarrow.pipeline.parallel import ordered
from stellarrow.registry import SourceOptions
from stellarrow.sources.chunking import read_again
from stellarrow.sources.rpc.connection import Connection
from stellarrow.sources.rpc.node import Node, Page
from stellarrow.telemetry.metrics import Metrics

with needing("an RPC node", "rpc"):
    import pybase64

Found = TypeVar("Found")

_AHEAD: Final = 16 << 20  # bytes of answers that wait to be taken
_CHUNK: Final = 1 << 20  # small ledgers travel together up to this size
_MAX_AGE_SECONDS: Final = 60.0  # a ledger closes every five or six
_log: Final = logging.getLogger(__name__)


class RpcSource:
    """Read ledgers from RPC nodes: the first that has them gives them, the others stand in for it.

    All must be of one network: `network`, or else that of the first that answers; others are refused. A range
    that reaches beyond the latest ledger waits for the chain, asking every `poll` seconds.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        network: str | Network | None = None,
        poll: float = 1.0,
        headers: Mapping[str, str] | None = None,
        credentials: ClientCredentials = NO_CREDENTIALS,
        policy: Policy | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        if not urls:
            raise ConfigError("an RPC source needs the URL of a node: give --rpc https://host")
        policy = policy or Policy()
        self._metrics = metrics or Metrics()
        self._stop = threading.Event()
        self._poll = poll
        self._network = Network.of(network) if network else None
        # A node that fails is passed over at once; patience is for all of them together.
        once = replace(policy, attempts=1)
        if headers:
            credentials = ClientCredentials.of(headers, credentials.token)
        connections = [Connection(url, timeout=policy.timeout, credentials=credentials) for url in urls]
        self._nodes = [
            Node(one, Guard(one.name, once, metrics=self._metrics, stop=self._stop)) for one in connections
        ]
        self._refused: dict[Node, NetworkMismatch] = {}
        self.name = ", ".join(node.name for node in self._nodes)
        together = replace(policy, failures_to_open=1 << 31)  # the nodes have breakers of their own
        self._guard = Guard(self.name, together, metrics=self._metrics, stop=self._stop)

    @classmethod
    def open(cls, url: str, options: SourceOptions) -> RpcSource:
        """Open nodes that stand in for each other, a comma list, as the registry does."""
        return cls(
            [one.removeprefix("rpc+") for one in url.split(",")],
            network=options.network,
            credentials=options.access.rpc,
            policy=options.policy,
            metrics=options.metrics,
        )

    @property
    def max_age_seconds(self) -> float:
        return _MAX_AGE_SECONDS

    @property
    def guards(self) -> tuple[Guard, ...]:
        """What stands before each node, for those who watch over them."""
        return tuple(node.guard for node in self._nodes)

    def available(self) -> LedgerSet:
        """Return what the nodes hold now; more will follow."""
        return LedgerSet(self._guard.call("getHealth", lambda: self._from_each(Node.window)))

    def network(self) -> Network | None:
        return self._guard.call("getNetwork", lambda: self._from_first(Node.network))

    def read(self, ledgers: LedgerRange) -> Generator[LedgerChunk]:
        pages = ordered(self._pages(ledgers), _chunks, workers=1, budget=_AHEAD, cost=lambda page: page.bytes)
        with closing(pages):
            for chunks in pages:
                yield from chunks

    def refetch(self, chunk: LedgerChunk) -> LedgerChunk:
        return read_again(self.read, chunk, name=self.name)

    def close(self) -> None:
        self._stop.set()
        for node in self._nodes:
            node.close()

    def _pages(self, ledgers: LedgerRange) -> Iterator[Page]:
        due = ledgers.first
        try:
            while due <= ledgers.end and not self._stop.is_set():
                page = self._guard.call("getLedgers", lambda: self._page(due, ledgers.end))  # noqa: B023  called at once
                if page is None:
                    self._stop.wait(self._poll)
                    continue
                self._metrics.received(len(page.metas), page.bytes)
                due = page.last + 1
                yield page
        except Stopped:
            return

    def _page(self, due: int, last: int) -> Page | None:
        return self._from_first(lambda node: node.page(due, last))

    def _from_first(self, ask: Callable[[Node], Found | None]) -> Found | None:
        """Return what the first node answers that has something to say; None where the chain is to come."""
        troubles: list[SourceError] = []
        idle = False
        nodes = self._nodes
        for node in nodes:
            if node in self._refused:
                continue
            try:
                self._prove(node)
                found = ask(node)
            except NetworkMismatch as error:
                self._refuse(node, error)
            except SourceError as error:
                troubles.append(error)
            else:
                if found is not None:
                    self._prefer(node, nodes)
                    return found
                idle = True
        if not idle or any(isinstance(error, LedgerMissing) for error in troubles):
            raise self._to_error(troubles)
        return None

    def _to_error(self, troubles: Sequence[SourceError]) -> SourceError | NetworkMismatch:
        """Make one error of those of the nodes: worth another try where it is for one of them."""
        down = [error for error in troubles if isinstance(error, SourceUnavailable)]
        text = "; ".join(map(str, troubles))
        if down:
            waits = [error.retry_after for error in down if error.retry_after is not None]
            return SourceUnavailable(
                text,
                retry_after=min(waits) if len(waits) == len(down) else None,
                busy=all(error.busy for error in down),
            )
        if any(isinstance(error, LedgerMissing) for error in troubles):
            return LedgerMissing(text)
        return SourceError(text) if troubles else NetworkMismatch("; ".join(map(str, self._refused.values())))

    def _from_each(self, ask: Callable[[Node], Found]) -> list[Found]:
        found: list[Found] = []
        troubles: list[SourceError] = []
        for node in self._nodes:
            if node in self._refused:
                continue
            try:
                self._prove(node)
                found.append(ask(node))
            except NetworkMismatch as error:
                self._refuse(node, error)
            except SourceError as error:
                troubles.append(error)
        if not found:
            raise self._to_error(troubles)
        return found

    def _prove(self, node: Node) -> None:
        """Hold a node to the network of the others before it may give anything."""
        answer = node.network()
        if self._network is None:
            self._network = answer
        if answer.passphrase != self._network.passphrase:
            raise NetworkMismatch(
                f"{node.name} is a node of {answer}, not of {self._network}: give the URL of another"
            )

    def _refuse(self, node: Node, error: NetworkMismatch) -> None:
        _log.error("%s", error)
        self._refused[node] = error

    def _prefer(self, node: Node, before: Sequence[Node]) -> None:
        if node is not before[0]:
            _log.warning("going on with %s instead of %s", node.name, before[0].name)
            self._metrics.reconnections.inc()
            self._nodes = [node, *(other for other in before if other is not node)]


def _chunks(page: Page) -> list[LedgerChunk]:
    """Make chunks of a page: a large ledger travels alone, small ones together."""
    chunks: list[LedgerChunk] = []
    group: list[bytes] = []
    held = 0
    for number, meta in enumerate(page.metas, page.first):
        try:
            ledger = pybase64.b64decode(meta, validate=True)
        except (Base64Error, ValueError):
            # The decoder will say what is wrong with it, in its turn.
            chunks += _grouped(group, number - 1, page.where)
            chunks.append(_chunk(meta.encode(), "base64-lines", number, number, page.where))
            group, held = [], 0
            continue
        group.append(ledger)
        held += len(ledger)
        if held >= _CHUNK or number == page.last:
            chunks += _grouped(group, number, page.where)
            group, held = [], 0
    return chunks + _grouped(group, page.last, page.where)


_chunk = partial(LedgerChunk, fetched=True)


def _grouped(ledgers: list[bytes], last: int, where: str) -> list[LedgerChunk]:
    if not ledgers:
        return []
    if len(ledgers) == 1:
        return [_chunk(ledgers[0], "single", last, last, where)]
    marked = frame(ledgers, "record-marked")
    return [_chunk(marked, "record-marked", last - len(ledgers) + 1, last, where)]
