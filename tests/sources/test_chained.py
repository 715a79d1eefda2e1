from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import fakes.raw_ledgers
import stellarrow as sa
from fakes.rpc import RpcNode, html, reset, serving, status
from stellarrow.core.framing import sequences
from stellarrow.core.synthetic import synthetic
from stellarrow.net.resilience import Policy
from stellarrow.sources.chained import ChainedSource
from stellarrow.sources.files import FileSource
from stellarrow.sources.grpc import GrpcSource
from stellarrow.sources.rpc import RpcSource

BRISK = Policy(attempts=4, first_wait=0.01, longest_wait=0.05, timeout=2.0, reset_after=0.05)
MakeLake = Callable[..., Path]
Connect = Callable[[RpcNode], RpcSource]


@pytest.fixture
def connect() -> Iterator[Connect]:
    with ExitStack() as stack:

        def opened(node: RpcNode) -> RpcSource:
            stack.enter_context(serving(node))
            return stack.enter_context(closing(RpcSource([node.url], policy=BRISK, poll=0.02)))

        yield opened


@pytest.fixture
def node(ledgers: tuple[bytes, ...]) -> RpcNode:
    """A node that has forgotten all before ledger 115."""
    return RpcNode(ledgers[15:], first=115)


def numbers(chunks: Iterator[sa.LedgerChunk]) -> list[int]:
    return [
        number
        for chunk in chunks
        for number in sequences(chunk.data, chunk.framing)
        if chunk.first <= number <= chunk.last
    ]


def test_history_comes_from_the_lake_and_the_live_edge_from_the_node(
    make_lake: MakeLake, node: RpcNode, connect: Connect
) -> None:
    chain = ChainedSource([FileSource(make_lake(100, 124)), connect(node)])
    report = sa.run(chain, tables=["ledgers"], sinks=[], network="synthetic", ledgers="102:139")
    assert (str(report.ranges), report.ledgers) == ("102:139", 38)
    asked = [one["params"] for one in node.asked if one["method"] == "getLedgers"]
    assert asked[0]["startLedger"] == 125


def test_what_both_have_is_what_there_is(make_lake: MakeLake, node: RpcNode, connect: Connect) -> None:
    chain = ChainedSource([FileSource(make_lake(100, 124)), connect(node)])
    assert str(chain.available()) == "100:139"
    assert chain.network() == sa.Network.of("synthetic")


def test_a_joint_of_two_chains_is_broken(make_lake: MakeLake, connect: Connect) -> None:
    other = RpcNode(tuple(islice(synthetic(20, seed=2, first=100, ledger_bytes=4_096), 40)))
    chain = ChainedSource([FileSource(make_lake(100, 119)), connect(other)])
    with pytest.raises(sa.ChainBroken, match="ledger 120 names"):
        sa.run(chain, tables=["ledgers"], sinks=[], network="synthetic", ledgers="100:139")


def test_sources_of_two_networks_do_not_chain(make_lake: MakeLake, connect: Connect) -> None:
    other = RpcNode([b""], network="testnet")
    with pytest.raises(sa.NetworkMismatch, match=r"holds ledgers of synthetic, http.* of testnet"):
        ChainedSource([FileSource(make_lake()), connect(other)]).network()


def test_it_goes_back_to_the_lake_when_the_window_has_moved_on(
    make_lake: MakeLake, node: RpcNode, connect: Connect
) -> None:
    class Growing(FileSource):
        """A lake that another keeps writing."""

        def available(self) -> sa.LedgerSet:
            return FileSource(folder).available()

        def read(self, ledgers: sa.LedgerRange) -> Iterator[sa.LedgerChunk]:
            return FileSource(folder).read(ledgers)

    folder = make_lake(100, 119)
    node.cap = 4
    chain = ChainedSource([Growing(folder), connect(node)])
    seen: list[int] = []
    for chunk in chain.read(sa.LedgerRange(110, 139)):
        seen += numbers(iter([chunk]))
        if seen[-1] >= 120 and node.oldest < 136:
            make_lake(100, 137)  # and meanwhile the reader was slow
            node.forget_before(136)
    assert seen == list(range(110, 140))


def disturbed(seed: int, make_lake: MakeLake, ledgers: tuple[bytes, ...], connect: Connect) -> None:
    """Read a lake that grows, then a node that fails and forgets: all of it, or a clear stop."""
    chance = random.Random(seed)  # noqa: S311
    end = chance.randrange(105, 130)
    folder = make_lake(100, end, name=f"lake-{seed}")

    class Growing(FileSource):
        def available(self) -> sa.LedgerSet:
            return FileSource(folder).available()

        def read(self, ledgers: sa.LedgerRange) -> Iterator[sa.LedgerChunk]:
            return FileSource(folder).read(ledgers)

    first = chance.randrange(100, end + 2)
    node = RpcNode(
        ledgers[first - 100 :], first=first, cap=chance.choice((3, 7, 200)), strict=chance.random() < 0.5
    )
    node.faults += chance.choices((status(500), html, reset, None, None, None, None, None), k=60)
    moves = chance.randrange(110, 139)
    seen: list[int] = []
    try:
        for chunk in ChainedSource([Growing(folder), connect(node)]).read(sa.LedgerRange(102, 139)):
            seen += numbers(iter([chunk]))
            if seen[-1] >= moves > node.oldest:
                node.forget_before(min(139, moves + chance.randrange(12)))
                if chance.random() < 0.8:
                    make_lake(100, chance.randrange(end, 140), name=f"lake-{seed}")
    except sa.SourceError:
        assert seen == list(range(102, 102 + len(seen)))
    else:
        assert seen == list(range(102, 140))


@pytest.mark.parametrize("seed", range(6))
def test_random_faults_leave_all_or_a_clear_stop(
    seed: int, make_lake: MakeLake, ledgers: tuple[bytes, ...], connect: Connect
) -> None:
    disturbed(seed, make_lake, ledgers, connect)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1_000, 1_200))
def test_many_random_faults_leave_all_or_a_clear_stop(
    seed: int, make_lake: MakeLake, ledgers: tuple[bytes, ...], connect: Connect
) -> None:
    disturbed(seed, make_lake, ledgers, connect)


def test_a_hole_between_the_sources_is_loud(make_lake: MakeLake, node: RpcNode, connect: Connect) -> None:
    chain = ChainedSource([FileSource(make_lake(100, 109)), connect(node)])
    seen: list[int] = []
    text = r"no source has ledger 110: .* has 100:109; http.* has 115:139"
    with pytest.raises(sa.LedgerMissing, match=text):
        seen.extend(chunk.first for chunk in chain.read(sa.LedgerRange(105)))


def test_a_node_that_is_down_stops_it_with_a_sentence(
    make_lake: MakeLake, node: RpcNode, connect: Connect
) -> None:
    source = connect(node)
    node.faults = [status(503)] * 100
    chain = ChainedSource([FileSource(make_lake(100, 124)), source])
    with pytest.raises(sa.SourceUnavailable, match=r"no source has ledger 125: .* HTTP 503"):
        numbers(chain.read(sa.LedgerRange(120, 139)))


def test_it_follows_the_chain_until_closed(
    make_lake: MakeLake, ledgers: tuple[bytes, ...], connect: Connect
) -> None:
    node = RpcNode(ledgers[10:30], first=110)
    chain = ChainedSource([FileSource(make_lake(100, 119)), connect(node)])
    seen: list[int] = []
    grown = threading.Event()

    def follow() -> None:
        for chunk in chain.read(sa.LedgerRange(105)):
            seen.extend(numbers(iter([chunk])))
            if seen[-1] == 134:
                grown.set()

    reader = threading.Thread(target=follow)
    reader.start()
    for ledger in ledgers[30:35]:
        time.sleep(0.05)
        node.add(ledger)
    assert grown.wait(5)
    chain.close()
    reader.join(2)
    assert not reader.is_alive()
    assert seen == list(range(105, 135))


def test_a_source_that_cannot_tell_what_it_has_gives_the_live_edge(
    make_lake: MakeLake, ledgers: tuple[bytes, ...]
) -> None:
    service: Any = fakes.raw_ledgers.RawLedgers(ledgers)
    with (
        fakes.raw_ledgers.serving(service) as port,
        closing(
            ChainedSource([FileSource(make_lake(100, 124)), GrpcSource(f"grpc://127.0.0.1:{port}")])
        ) as chain,
    ):
        assert numbers(chain.read(sa.LedgerRange(120, 139))) == list(range(120, 140))
        assert str(chain.available()) == "100:124"
    assert service.asked == [125]


def test_bytes_damaged_on_the_way_are_fetched_again_from_whoever_can(make_lake: MakeLake) -> None:
    class Gone(FileSource):
        def refetch(self, chunk: sa.LedgerChunk) -> sa.LedgerChunk:
            raise sa.SourceUnavailable(f"{chunk.where} cannot be reached")

    class Back(FileSource):
        def refetch(self, chunk: sa.LedgerChunk) -> sa.LedgerChunk:
            return next(self.read(sa.LedgerRange(chunk.first, chunk.last)))

    lake = make_lake()
    damaged = sa.LedgerChunk(b"\xff", "auto", 120, 120, "on the way")
    chained = ChainedSource([FileSource(lake), Gone(lake), Back(lake)])
    assert isinstance(chained, sa.Refetching)
    assert sequences(chained.refetch(damaged).data) == [120]
    assert ChainedSource([Gone(lake)]).refetch(damaged) == damaged
