from __future__ import annotations

import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import islice
from typing import Any

import pytest
import trustme

import stellarrow as sa
from fakes.rpc import Fault, RpcNode, html, internal, reset, serving, slow, status
from fakes.toxiproxy import Toxiproxy
from sources.following import followed
from stellarrow.core.decode import Decoder
from stellarrow.core.framing import sequences
from stellarrow.core.synthetic import synthetic
from stellarrow.net.resilience import Policy
from stellarrow.sources.rpc import RpcSource
from stellarrow.telemetry.metrics import Metrics

BRISK = Policy(attempts=6, first_wait=0.01, longest_wait=0.05, timeout=5.0, reset_after=0.05)
Serve = Callable[..., RpcNode]
Open = Callable[..., RpcSource]


@pytest.fixture
def serve(ledgers: tuple[bytes, ...]) -> Iterator[Serve]:
    with ExitStack() as stack:

        def started(*faults: Fault | None, **choices: Any) -> RpcNode:
            node = RpcNode(choices.pop("ledgers", ledgers), **choices)
            node.faults += faults
            return stack.enter_context(serving(node))

        yield started


@pytest.fixture
def connect() -> Iterator[Open]:
    with ExitStack() as stack:

        def opened(*nodes: RpcNode, **choices: Any) -> RpcSource:
            choices = {"policy": BRISK, "poll": 0.02, **choices}
            return stack.enter_context(closing(RpcSource([node.url for node in nodes], **choices)))

        yield opened


def numbers(chunks: Iterator[sa.LedgerChunk]) -> list[int]:
    decoder = Decoder(["ledgers"], network="synthetic")
    return [
        number
        for chunk in chunks
        for number in decoder(chunk).tables["ledgers"].column("ledger_sequence").to_pylist()
    ]


def test_a_range_arrives_whole_by_cursor_and_never_by_both(serve: Serve, connect: Open) -> None:
    node = serve(cap=7)
    assert numbers(connect(node).read(sa.LedgerRange(103, 131))) == list(range(103, 132))
    pages = [request["params"] for request in node.asked if request["method"] == "getLedgers"]
    assert len(pages) > 4
    assert [("startLedger" in page) != ("cursor" in page["pagination"]) for page in pages] == [True] * len(
        pages
    )
    assert ["startLedger" in page for page in pages].count(True) == 1


def test_it_tells_its_network_and_its_window(serve: Serve, connect: Open) -> None:
    source = connect(serve())
    assert source.network() == sa.Network.of("synthetic")
    assert str(source.available()) == "100:139"


@pytest.mark.parametrize("strict", [True, False])
def test_a_range_before_the_oldest_ledger_names_both(serve: Serve, connect: Open, strict: bool) -> None:
    node = serve(strict=strict)
    with pytest.raises(
        sa.LedgerMissing, match=r"ledger 60 is no longer in http.*oldest is 100 .* put a lake"
    ):
        numbers(connect(node).read(sa.LedgerRange(60, 120)))


def test_pages_grow_with_what_they_cost(serve: Serve, connect: Open) -> None:
    node = serve()
    numbers(connect(node).read(sa.LedgerRange(100, 139)))
    limits = [one["params"]["pagination"]["limit"] for one in node.asked if one["method"] == "getLedgers"]
    assert limits == [4, 16, 20]


def test_heavy_ledgers_come_few_at_a_time(serve: Serve, connect: Open) -> None:
    heavy = tuple(islice(synthetic(20, first=100, ledger_bytes=4_000_000), 8))
    node = serve(ledgers=heavy)
    chunks = list(connect(node).read(sa.LedgerRange(100, 107)))
    limits = [one["params"]["pagination"]["limit"] for one in node.asked if one["method"] == "getLedgers"]
    assert max(limits) <= 4
    assert [sequences(chunk.data, chunk.framing) for chunk in chunks] == [[n] for n in range(100, 108)]


@pytest.mark.parametrize(
    "fault",
    [status(429, Retry_After="0"), status(500), status(503, Retry_After="0.02"), html, internal, reset],
    ids=["429", "500", "503", "html", "internal", "reset"],
)
def test_what_passes_by_leaves_no_trace(serve: Serve, connect: Open, fault: Fault) -> None:
    node = serve(fault, None, fault, None, fault, fault)
    assert numbers(connect(node).read(sa.LedgerRange(100, 139))) == list(range(100, 140))


def test_retry_after_is_heeded(serve: Serve, connect: Open) -> None:
    node = serve(None, status(429, Retry_After="0.4"))
    began = time.monotonic()
    assert numbers(connect(node).read(sa.LedgerRange(100, 101))) == [100, 101]
    assert 0.4 <= time.monotonic() - began < 2
    assert len(node.asked) == 3


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (html, "answered getNetwork with HTML instead of JSON: is it the address of an RPC node"),
        (status(502), "answered with HTTP 502"),
    ],
)
def test_what_stays_broken_stops_with_a_sentence(
    serve: Serve, connect: Open, fault: Fault, message: str
) -> None:
    node = serve(*[fault] * 100)
    with pytest.raises(sa.SourceUnavailable, match=message):
        numbers(connect(node).read(sa.LedgerRange(100, 101)))
    assert len(node.asked) == BRISK.attempts


@pytest.mark.parametrize(
    ("code", "advice"), [(403, "give a key"), (401, "give a key"), (404, "check the URL")]
)
def test_what_is_forbidden_is_asked_once(serve: Serve, connect: Open, code: int, advice: str) -> None:
    node = serve(*[status(code)] * 9)
    with pytest.raises(sa.SourceError, match=advice):
        numbers(connect(node).read(sa.LedgerRange(100, 101)))
    assert len(node.asked) == 1


def test_nobody_there_is_a_sentence(connect: Open) -> None:
    node = RpcNode()
    with serving(node):
        pass
    with pytest.raises(sa.SourceUnavailable, match=r"does not answer .*connection refused"):
        connect(node).available()


def test_another_node_stands_in_for_one_that_dies(serve: Serve, connect: Open) -> None:
    dying, other = serve(cap=5), serve()
    dying.faults = [None, None, None, None] + [status(500)] * 1000
    metrics = Metrics()
    assert numbers(connect(dying, other, metrics=metrics).read(sa.LedgerRange(100, 139))) == list(
        range(100, 140)
    )
    assert "getLedgers" in dying.methods()
    assert b"reconnections_total 1.0" in metrics.text()


def test_a_node_behind_gives_way_to_one_that_is_not(
    serve: Serve, connect: Open, ledgers: tuple[bytes, ...]
) -> None:
    behind = serve(ledgers=ledgers[:10])
    assert numbers(connect(behind, serve()).read(sa.LedgerRange(105, 139))) == list(range(105, 140))


def test_a_node_whose_window_has_moved_on_gives_way_to_one_that_still_has_it(
    serve: Serve, connect: Open, ledgers: tuple[bytes, ...]
) -> None:
    ahead = serve(ledgers=ledgers[20:], first=120)
    assert numbers(connect(ahead, serve()).read(sa.LedgerRange(105, 139))) == list(range(105, 140))
    with pytest.raises(sa.LedgerMissing, match=r"oldest is 120 .*; ledger 90 .* oldest is 100"):
        numbers(connect(ahead, serve()).read(sa.LedgerRange(90, 139)))


def test_a_window_that_moves_on_while_reading_is_loud(serve: Serve, connect: Open) -> None:
    node = serve(cap=4)
    source = connect(node)

    def moves(_: dict[str, Any]) -> None:
        node.forget_before(130)

    node.faults = [None, None, None, moves]  # network, a page, another
    seen: list[int] = []

    def read() -> None:
        for chunk in source.read(sa.LedgerRange(100, 139)):
            seen.extend(numbers(iter([chunk])))

    with pytest.raises(sa.LedgerMissing, match="oldest is 130 and latest 139"):
        read()
    assert seen == list(range(100, 100 + len(seen)))
    assert len(seen) < 30


def test_a_node_of_another_network_is_refused(serve: Serve, connect: Open) -> None:
    wrong = serve(network="testnet")
    source = connect(wrong, serve(), network="synthetic")
    assert numbers(source.read(sa.LedgerRange(100, 139))) == list(range(100, 140))
    assert set(wrong.methods()) == {"getNetwork"}
    with pytest.raises(sa.NetworkMismatch, match="is a node of testnet, not of synthetic"):
        numbers(connect(wrong, network="synthetic").read(sa.LedgerRange(100, 139)))


def test_a_ledger_left_out_is_loud(serve: Serve, connect: Open) -> None:
    node = serve()
    node.metas = {number: meta for number, meta in node.metas.items() if number != 117}
    with pytest.raises(sa.LedgerMissing, match="holds the ledgers 100:139, but left 117 out"):
        numbers(connect(node).read(sa.LedgerRange(100, 139)))


def test_a_ledger_that_is_no_base64_is_a_decode_error_of_its_own(serve: Serve, connect: Open) -> None:
    node = serve()
    node.metas[117] = "@@" + node.metas[117][2:]
    chunks = list(connect(node).read(sa.LedgerRange(100, 139)))
    bad = [chunk for chunk in chunks if (chunk.first, chunk.last) == (117, 117)]
    assert len(bad) == 1
    with pytest.raises(sa.DecodeError):
        Decoder(["ledgers"], network="synthetic")(bad[0])
    assert numbers(iter([chunk for chunk in chunks if chunk not in bad])) == [
        number for number in range(100, 140) if number != 117
    ]


def test_a_chunk_can_be_asked_for_again(serve: Serve, connect: Open) -> None:
    node = serve()
    source = connect(node)
    whole = node.metas[117]
    node.metas[117] = "@@" + whole[2:]
    (bad,) = source.read(sa.LedgerRange(117, 117))
    assert source.refetch(bad) == bad
    node.metas[117] = whole
    assert numbers(iter([source.refetch(bad)])) == [117]


@pytest.mark.parametrize("strict", [True, False])
def test_it_follows_the_chain_until_closed(
    serve: Serve, connect: Open, ledgers: tuple[bytes, ...], strict: bool
) -> None:
    node = serve(ledgers=ledgers[:5], strict=strict)
    source = connect(node)
    assert followed(source, node.add, ledgers[5:10], to=109) == list(range(102, 110))


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("limit_data", {"bytes": 30_000}),
        ("reset_peer", {"timeout": 1}),
        ("timeout", {"timeout": 0}),
        ("slicer", {"average_size": 700, "size_variation": 300, "delay": 10}),
    ],
)
def test_a_bad_line_loses_nothing(
    serve: Serve, toxiproxy: Toxiproxy, kind: str, attributes: dict[str, Any]
) -> None:
    node = serve(cap=5)
    proxy = toxiproxy.proxy(f"rpc-{kind}", node.url.removeprefix("http://"))
    patient = Policy(attempts=20, first_wait=0.05, longest_wait=0.2, timeout=2.0, reset_after=0.05)
    with closing(RpcSource([f"http://{proxy.address}"], policy=patient)) as source:
        chunks = source.read(sa.LedgerRange(100, 139))
        first = next(chunks)
        toxic = proxy.add(kind, **attributes)
        healed = threading.Timer(0.8, proxy.remove, (toxic,))
        healed.start()
        seen = numbers(iter([first])) + numbers(chunks)
        healed.join()
    proxy.delete()
    assert seen == list(range(100, 140))


def test_a_node_that_refuses_the_future_is_asked_once_a_poll(
    serve: Serve, connect: Open, ledgers: tuple[bytes, ...]
) -> None:
    node = serve(ledgers=ledgers[:5])
    source = connect(node)
    chunks = source.read(sa.LedgerRange(105))
    threading.Timer(0.3, node.add, (ledgers[5],)).start()
    assert next(chunks).first == 105
    methods = node.methods()
    assert methods.count("getLedgers") <= 4  # refused, given, and perhaps the next
    assert methods.count("getHealth") > 3
    assert "getLatestLedger" not in methods  # newer nodes answer it with the whole ledger
    source.close()


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://host", "https://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(sa.ConfigError, match="is no address of an RPC node: write https://host"):
        RpcSource([url])


def test_a_certificate_nobody_vouches_for_is_not_trusted() -> None:
    issued = trustme.CA().issue_cert("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    with serving(RpcNode(), tls=context) as node, closing(RpcSource([node.url], policy=BRISK)) as source:
        with pytest.raises(sa.SourceError, match="certificate that cannot be trusted") as answer:
            source.available()
        assert not isinstance(answer.value, sa.SourceUnavailable)


def test_close_cuts_off_a_call_under_way(serve: Serve, connect: Open) -> None:
    source = connect(serve(None, slow(5)))
    reader = threading.Thread(target=lambda: list(source.read(sa.LedgerRange(100))))
    reader.start()
    time.sleep(0.2)
    began = time.monotonic()
    source.close()
    reader.join(2)
    assert not reader.is_alive()
    assert time.monotonic() - began < 1


def test_several_pipelines_of_different_networks_run_in_one_process(serve: Serve, connect: Open) -> None:
    other = tuple(islice(synthetic(20, first=100, ledger_bytes=4_096, network="testnet"), 40))
    sources = [connect(serve()), connect(serve(ledgers=other, network="testnet"))]
    reports: dict[int, sa.Report] = {}

    def bring(number: int) -> None:
        source = sources[number]
        answer = source.network()
        assert answer
        reports[number] = sa.run(source, tables=["ledgers"], sinks=[], network=answer, ledgers="100:139")

    threads = [threading.Thread(target=bring, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [str(reports[number].ranges) for number in range(2)] == ["100:139"] * 2


def test_a_key_in_the_url_stays_out_of_messages(serve: Serve) -> None:
    node = serve(*[status(403)] * 9)
    with (
        closing(RpcSource([f"{node.url}/v1/s3cret-key"], policy=BRISK)) as source,
        pytest.raises(sa.SourceError) as answer,
    ):
        source.available()
    assert "s3cret" not in str(answer.value)


FAULTS: tuple[Fault | None, ...] = (
    *(status(429, Retry_After="0.01"), status(500), status(503), html, internal, reset, slow(0.01)),
    *(None,) * 14,
)


def disturbed(seed: int, serve: Serve, connect: Open) -> None:
    """Read through random faults of two nodes, one of which forgets or lags: all of it, or a clear stop."""
    chance = random.Random(seed)  # noqa: S311
    nodes = [
        serve(*chance.choices(FAULTS, k=60), cap=chance.choice((3, 10, 200)), strict=chance.random() < 0.5)
        for _ in range(2)
    ]
    odd = nodes[chance.randrange(2)]
    odd.metas = {n: meta for n, meta in odd.metas.items() if chance.choice((n >= 110, n <= 125, True))}
    seen: list[int] = []
    try:
        for chunk in connect(*nodes).read(sa.LedgerRange(100, 139)):
            seen += numbers(iter([chunk]))
    except sa.SourceError:
        assert seen == list(range(100, 100 + len(seen)))
    else:
        assert seen == list(range(100, 140))


@pytest.mark.parametrize("seed", range(10))
def test_random_faults_leave_all_or_a_clear_stop(seed: int, serve: Serve, connect: Open) -> None:
    disturbed(seed, serve, connect)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1_000, 1_400))
def test_many_random_faults_leave_all_or_a_clear_stop(seed: int, serve: Serve, connect: Open) -> None:
    disturbed(seed, serve, connect)
