"""What a relay passes on, and what never."""

from __future__ import annotations

import random
import threading
import time
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from fakes import raw_ledgers
from fakes.rpc import RpcNode, html, reset, serving, slow, status
from servers.raw.relayed import MakeRelay, Relayed, checks, corrupted, numbers, until
from stellarrow.core.framing import frame, sequences
from stellarrow.core.synthetic import synthetic
from stellarrow.errors import LedgerUnsound
from stellarrow.sources.files import FileSource
from stellarrow.sources.grpc import GrpcSource


def test_history_and_live_edge_come_as_one(node: RpcNode, relayed: MakeRelay) -> None:
    relay = relayed(node).relay
    assert numbers(relay.streams(103, 139)) == list(range(103, 140))
    assert numbers(relay.streams(0, 139)) == [139]


def test_what_is_offered_is_told_and_ends_where_it_ends(node: RpcNode, relayed: MakeRelay) -> None:
    relay = relayed(node, offered=sa.LedgerRange(110, 119)).relay
    assert numbers(relay.streams(105)) == list(range(105, 120))  # who knows of an older one may have it
    assert relay.earliest == 110
    assert numbers(relay.streams(115, 139)) == list(range(115, 120))
    assert numbers(relay.streams(130)) == []


def test_ledgers_are_what_the_node_has(node: RpcNode, relayed: MakeRelay, ledgers: tuple[bytes, ...]) -> None:
    groups = relayed(node).relay.streams(100, 139)
    assert [ledger.xdr for group in groups for ledger in group] == list(ledgers)


def test_readers_at_one_place_share_one_reading(node: RpcNode, relayed: MakeRelay) -> None:
    relay = relayed(node).relay
    until(lambda: relay.latest == 139)
    node.faults = [slow(0.5)] * 8  # all are there before the first answer is
    seen: dict[int, list[int]] = {}

    def read(reader: int) -> None:
        seen[reader] = numbers(relay.streams(100, 139))

    threads = [threading.Thread(target=read, args=(reader,)) for reader in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {reader: list(range(100, 140)) for reader in range(4)}
    starts = [one["params"].get("startLedger") for one in node.asked if one["method"] == "getLedgers"]
    assert starts.count(100) == 1


def test_a_slow_reader_slows_nobody_and_misses_nothing(node: RpcNode, relayed: MakeRelay) -> None:
    more = list(islice(synthetic(20, first=100, ledger_bytes=4_096), 400))
    relay = relayed(node, budget=200_000).relay  # the window holds about a dozen
    slow = relay.streams(130)
    seen = [ledger.sequence for ledger in next(slow)]
    quick: list[int] = []
    reader = threading.Thread(target=lambda: quick.extend(numbers(relay.streams(100), 400)))
    reader.start()
    for ledger in more[40:]:
        node.add(ledger)
    reader.join(20)
    assert quick == list(range(100, 500))
    assert checks(relay)["source"].metrics["window_ledgers"] < 30
    seen += numbers(slow, 370 - len(seen))
    assert seen == list(range(130, 500))


def test_readers_far_apart_of_a_source_that_cannot_tell_wait_for_none_of_each_other(
    tmp_path: Path, ledgers: tuple[bytes, ...]
) -> None:
    with (
        raw_ledgers.serving(raw_ledgers.RawLedgers(ledgers)) as port,
        closing(Relayed(GrpcSource(f"grpc://127.0.0.1:{port}"), tmp_path / "letters")) as held,
    ):
        relay = held.relay
        early, late = relay.streams(100), relay.streams(137)
        seen = [ledger.sequence for ledger in next(early)]
        assert numbers(late, 3) == [137, 138, 139]
        assert seen + numbers(early, 40 - len(seen)) == list(range(100, 140))
        assert checks(relay)["source"].healthy


def test_a_new_ledger_reaches_every_reader(node: RpcNode, relayed: MakeRelay) -> None:
    relay = relayed(node).relay
    readers = [iter(relay.streams(139)) for _ in range(3)]
    assert [next(reader)[0].sequence for reader in readers] == [139] * 3
    node.add(list(islice(synthetic(20, first=100, ledger_bytes=4_096), 41))[-1])
    assert [next(reader)[0].sequence for reader in readers] == [140] * 3
    assert b'current_ledger{source_type="rpc"} 140.0' in relay._metrics.text()


def test_a_corrupt_ledger_is_put_aside_and_never_passed_on(node: RpcNode, relayed: MakeRelay) -> None:
    whole = corrupted(node, 117)
    held = relayed(node)
    seen: list[int] = []

    def read() -> None:
        for group in held.relay.streams(110, 139):
            seen.extend(ledger.sequence for ledger in group)

    with pytest.raises(LedgerUnsound, match=r"ledger 117 of http.* is not sound: .* repair the source"):
        read()
    assert seen == list(range(110, 117))
    (letter,) = held.letters.entries()
    assert (letter.ledger, letter.framing) == (117, "single")
    quarantine = checks(held.relay)["quarantine"]
    assert (quarantine.healthy, quarantine.essential, quarantine.metrics["ledgers"]) == (False, False, 1)
    assert b'ledgers_processed_total{source_type="rpc",status="quarantined"} 1.0' in held.metrics.text()
    node.metas[117] = whole
    assert numbers(held.relay.streams(110, 139)) == list(range(110, 140))


def test_a_ledger_that_is_corrupt_only_once_is_read_again(node: RpcNode, relayed: MakeRelay) -> None:
    whole = corrupted(node, 117)
    held = relayed(node)
    until(lambda: held.relay.latest == 139)

    def mend(request: dict[str, Any]) -> None:
        if request.get("params", {}).get("startLedger") == 117:
            node.metas[117] = whole

    node.faults = [mend] * 20
    assert numbers(held.relay.streams(110, 139)) == list(range(110, 140))
    assert held.letters.entries() == []


def test_a_corrupt_ledger_at_the_live_edge_makes_it_unhealthy_until_mended(
    node: RpcNode, relayed: MakeRelay
) -> None:
    more = list(islice(synthetic(20, first=100, ledger_bytes=4_096), 41))
    held = relayed(node)
    readers = held.relay.streams(139)
    next(readers)
    whole = node.metas[120]
    node.metas = {**node.metas, 140: whole}  # a ledger that is another one
    with pytest.raises(LedgerUnsound, match="ledger 140"):
        next(readers)
    assert not checks(held.relay)["source"].healthy
    node.metas.pop(140)
    node.add(more[-1])
    until(lambda: checks(held.relay)["source"].healthy)
    assert numbers(held.relay.streams(139), 2) == [139, 140]


def test_ledgers_of_another_network_are_not_passed_on(relayed: MakeRelay) -> None:
    other = tuple(islice(synthetic(20, first=100, ledger_bytes=4_096, network="testnet"), 10))
    with serving(RpcNode(other)) as node, pytest.raises(LedgerUnsound, match="network"):
        numbers(relayed(node).relay.streams(100, 109))


def test_a_chain_that_breaks_is_not_passed_on(node: RpcNode, relayed: MakeRelay) -> None:
    other = RpcNode(tuple(islice(synthetic(20, seed=9, first=100, ledger_bytes=4_096), 40)))
    node.metas = {**node.metas, **{number: other.metas[number] for number in range(120, 140)}}
    held = relayed(node)
    seen: list[int] = []

    def read() -> None:
        for group in held.relay.streams(110, 130):
            seen.extend(ledger.sequence for ledger in group)

    with pytest.raises(LedgerUnsound, match=r"ledger 120 .* before it"):
        read()
    assert seen == list(range(110, 120))


def test_what_the_source_does_not_have_is_said(node: RpcNode, relayed: MakeRelay) -> None:
    relay = relayed(node).relay
    until(lambda: relay.latest == 139)
    with pytest.raises(sa.LedgerMissing, match="ledger 60 is no longer in"):
        numbers(relay.streams(60))
    assert checks(relay)["source"].healthy


def test_a_batch_larger_than_the_window_is_taken_apart(
    tmp_path: Path, ledgers: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellarrow.servers.raw.relay._LEAST", 10_000)
    (tmp_path / "batch.xdr.zst").write_bytes(frame(ledgers, "batch", compression_level=3))
    source = FileSource(tmp_path / "batch.xdr.zst")
    with closing(Relayed(source, tmp_path / "letters", budget=100_000)) as held:
        groups = held.relay.streams(110, 139)
        assert [ledger.xdr for group in groups for ledger in group] == list(ledgers[10:])


# gRPC


def disturbed(seed: int, node: RpcNode, held: Relayed) -> None:
    """Let readers begin anywhere and dawdle while the node fails: each gets all, or a clear stop."""
    chance = random.Random(seed)  # noqa: S311
    faults = (status(429, Retry_After="0.01"), status(500), html, reset, *(None,) * 12)
    node.faults += chance.choices(faults, k=100)
    node.cap = chance.choice((3, 10, 200))
    wrong: list[str] = []

    def read(first: int, pauses: list[float]) -> None:
        seen: list[int] = []
        try:
            for group in held.relay.streams(first, 139):
                time.sleep(pauses[len(seen) % len(pauses)])
                for ledger in group:
                    seen += sequences(ledger.xdr, "single")
        except sa.SourceUnavailable:
            if seen != list(range(first, first + len(seen))):
                wrong.append(f"{first}: {seen}")
        else:
            if seen != list(range(first, 140)):
                wrong.append(f"{first}: {seen}")

    readers = [
        threading.Thread(
            target=read, args=(chance.randrange(100, 140), chance.choices((0, 0, 0.005, 0.02), k=7))
        )
        for _ in range(5)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(30)
        assert not reader.is_alive()
    assert wrong == []


@pytest.mark.parametrize("seed", range(4))
def test_random_faults_and_paces_leave_all_or_a_clear_stop(
    seed: int, node: RpcNode, relayed: MakeRelay
) -> None:
    disturbed(seed, node, relayed(node, budget=100_000))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1_000, 1_150))
def test_many_random_faults_and_paces_leave_all_or_a_clear_stop(
    seed: int, node: RpcNode, relayed: MakeRelay
) -> None:
    disturbed(seed, node, relayed(node, budget=100_000))
