"""A relay over a real RPC node, for tests of what it passes on and who may ask."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

import stellarrow as sa
from fakes.rpc import RpcNode
from stellarrow.net.address import Address
from stellarrow.net.resilience import Policy
from stellarrow.pipeline.dead_letters import DeadLetters
from stellarrow.servers.raw.relay import Relay
from stellarrow.servers.raw.verified import Ledger, SoundLedgers
from stellarrow.telemetry.metrics import Metrics

BRISK = Policy(attempts=6, first_wait=0.01, longest_wait=0.05, timeout=5.0, reset_after=0.05)
ANYWHERE = Address("127.0.0.1", 0)


class Relayed:
    """A relay over a node, and what it needs."""

    def __init__(
        self,
        source: sa.Source,
        folder: Path,
        *,
        budget: int = 64 << 20,
        offered: sa.LedgerRange | None = None,
    ) -> None:
        self.source = source
        self.metrics = Metrics()
        self.letters = DeadLetters(folder)
        sound = SoundLedgers(source, network=sa.Network.of("synthetic"), letters=self.letters)
        self.relay = Relay(
            source, sound, source_type="rpc", budget=budget, metrics=self.metrics, offered=offered
        )
        self.relay.start()

    def close(self) -> None:
        self.relay.close()
        self.source.close()


MakeRelay = Callable[..., Relayed]


def numbers(streams: Iterator[list[Ledger]], count: int | None = None) -> list[int]:
    """Take the first ledgers of a stream; all without a count."""
    with closing(streams) as groups:  # type: ignore[type-var]
        return list(islice((ledger.sequence for group in groups for ledger in group), count))


def until(true: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def checks(relay: Relay) -> dict[str, Any]:
    return {part.check().name: part.check() for part in relay.components}


# The relay


def corrupted(node: RpcNode, number: int) -> str:
    """Flip a bit within a ledger's header; return what was there."""
    whole = node.metas[number]
    node.metas[number] = whole[:200] + ("A" if whole[200] != "A" else "B") + whole[201:]
    return whole


def health_of(channel: grpc.Channel, service: str = "") -> int:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    status: int = stub.Check(health_pb2.HealthCheckRequest(service=service)).status
    return status
