"""A node, and relays over it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from pyarrow import flight

from fakes.rpc import RpcNode, serving
from servers.raw.relayed import ANYWHERE, BRISK, MakeRelay, Relayed, until
from stellarrow.servers.raw.flight import RawLedgerFlight
from stellarrow.servers.raw.grpc import RawLedgerServer
from stellarrow.sources.rpc import RpcSource


@pytest.fixture
def node(ledgers: tuple[bytes, ...]) -> Iterator[RpcNode]:
    with serving(RpcNode(ledgers)) as node:
        yield node


@pytest.fixture
def relayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeRelay]:
    monkeypatch.setattr("stellarrow.servers.raw.relay._POLL", 0.05)
    monkeypatch.setattr("stellarrow.servers.raw.relay._LEAST", 40_000)  # about ten ledgers
    with ExitStack() as stack:

        def made(node: RpcNode, **choices: Any) -> Relayed:
            source = RpcSource([node.url], policy=BRISK, poll=0.02)
            return stack.enter_context(closing(Relayed(source, tmp_path / "letters", **choices)))

        yield made


@pytest.fixture
def raw(node: RpcNode, relayed: MakeRelay) -> Iterator[RawLedgerServer]:
    with closing(RawLedgerServer(ANYWHERE, relayed(node).relay)) as server:
        server.start()
        yield server


@pytest.fixture
def flown(node: RpcNode, relayed: MakeRelay) -> Iterator[flight.FlightClient]:
    relay = relayed(node).relay
    with (
        closing(RawLedgerFlight(ANYWHERE, relay, source_type="rpc", source_url=node.url)) as server,
        flight.connect(f"grpc://{server.address}") as client,
    ):
        until(lambda: relay.latest == 139)
        yield client
