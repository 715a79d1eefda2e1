from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import grpc
import pytest

import stellarrow as sa
from fakes.process import free_port
from fakes.raw_ledgers import RawLedgers, serving
from fakes.toxiproxy import Toxiproxy
from sources.following import followed
from stellarrow.core.decode import Decoder
from stellarrow.net.resilience import Policy
from stellarrow.sources.grpc import GrpcSource
from stellarrow.telemetry.metrics import Metrics

BRISK = Policy(attempts=6, first_wait=0.01, longest_wait=0.1, timeout=30.0, reset_after=0.05)
IMPATIENT = replace(BRISK, attempts=3, timeout=2.0)
HASTY = replace(BRISK, timeout=0.5)  # where a server that is only slow may be given up, too
Connect = Callable[..., GrpcSource]


@pytest.fixture
def service(ledgers: tuple[bytes, ...]) -> RawLedgers:
    return RawLedgers(ledgers)


@pytest.fixture
def connect() -> Iterator[Connect]:
    with ExitStack() as stack:

        def opened(service: RawLedgers | str, **choices: Any) -> GrpcSource:
            place = service
            if isinstance(service, RawLedgers):
                place = f"127.0.0.1:{stack.enter_context(serving(service))}"
            choices.setdefault("policy", BRISK)
            return stack.enter_context(closing(GrpcSource(f"grpc://{place}", **choices)))

        yield opened


def numbers(chunks: Iterator[sa.LedgerChunk]) -> list[int]:
    decoder = Decoder(["ledgers"], network="synthetic")
    return [decoder(chunk).first for chunk in chunks]


def test_a_range_arrives_whole(service: RawLedgers, connect: Connect) -> None:
    assert numbers(connect(service).read(sa.LedgerRange(103, 131))) == list(range(103, 132))
    assert service.asked == [103]


@pytest.mark.parametrize("fault", ["break", "end", grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN])
def test_a_broken_stream_goes_on_after_the_last_good_ledger(
    service: RawLedgers, connect: Connect, fault: object
) -> None:
    service.faults = [{110: fault}, {120: fault}]
    metrics = Metrics()
    source = connect(service, metrics=metrics)
    assert numbers(source.read(sa.LedgerRange(100, 139))) == list(range(100, 140))
    assert service.asked == [100, 110, 120]
    assert b"reconnections_total 2.0" in metrics.text()


def test_ledgers_sent_twice_are_taken_once(service: RawLedgers, connect: Connect) -> None:
    service.faults = [{110: "twice", 111: "twice", 120: "back"}]
    assert numbers(connect(service).read(sa.LedgerRange(100, 139))) == list(range(100, 140))
    assert service.asked == [100]


def test_a_chunk_can_be_asked_for_again(service: RawLedgers, connect: Connect) -> None:
    source = connect(service)
    (chunk,) = source.read(sa.LedgerRange(117, 117))
    assert source.refetch(chunk) == chunk


def test_a_skipped_ledger_is_asked_for_again(service: RawLedgers, connect: Connect) -> None:
    service.faults = [{110: "skip"}]
    assert numbers(connect(service).read(sa.LedgerRange(100, 139))) == list(range(100, 140))
    assert service.asked == [100, 110]


def test_a_ledger_skipped_again_is_loud(service: RawLedgers, connect: Connect) -> None:
    service.faults = [{110: "skip"}, {110: "skip"}]
    seen: list[sa.LedgerChunk] = []
    with pytest.raises(
        sa.LedgerMissing, match="skips ledger 110 and continues with 111, also when asked again"
    ):
        seen.extend(connect(service).read(sa.LedgerRange(100, 139)))
    assert service.asked == [100, 110]


def test_a_silent_stream_is_opened_anew(service: RawLedgers, connect: Connect) -> None:
    service.faults = [{110: "hang"}]
    assert numbers(connect(service, policy=IMPATIENT).read(sa.LedgerRange(100, 139))) == list(range(100, 140))
    assert service.asked == [100, 110]


def test_a_slow_reader_is_not_taken_for_a_silent_stream(service: RawLedgers, connect: Connect) -> None:
    seen = []
    for chunk in connect(service, policy=IMPATIENT).read(sa.LedgerRange(100, 101)):
        time.sleep(IMPATIENT.timeout * 1.2)
        seen.append(chunk.first)
    assert (seen, service.asked) == ([100, 101], [100])


def test_silence_that_lasts_stops_with_a_sentence(service: RawLedgers, connect: Connect) -> None:
    service.faults = [{110: "hang"}] * 9
    with pytest.raises(sa.SourceUnavailable, match=r"sent nothing for 2 s"):
        numbers(connect(service, policy=IMPATIENT).read(sa.LedgerRange(110, 139)))
    assert service.asked == [110] * 3  # as often as the policy says


@pytest.mark.parametrize(
    ("code", "error", "message"),
    [
        (grpc.StatusCode.OUT_OF_RANGE, sa.LedgerMissing, "does not give ledger 100: as the test wants"),
        (grpc.StatusCode.UNAUTHENTICATED, sa.SourceError, "as the test wants"),
        (grpc.StatusCode.DATA_LOSS, sa.SourceError, "as the test wants"),
        (grpc.StatusCode.UNIMPLEMENTED, sa.SourceError, "is no raw-ledger service: check host and port"),
    ],
)
def test_what_no_other_try_mends_is_asked_once(
    service: RawLedgers, connect: Connect, code: grpc.StatusCode, error: type[Exception], message: str
) -> None:
    service.faults = [{100: code}] * 3
    with pytest.raises(error, match=message):
        numbers(connect(service).read(sa.LedgerRange(100, 139)))
    assert service.asked == [100]


def test_nobody_there_is_a_sentence(connect: Connect) -> None:
    with pytest.raises(sa.SourceUnavailable, match=r"grpc://127.0.0.1:.*: .*refused"):
        numbers(connect(f"127.0.0.1:{free_port()}").read(sa.LedgerRange(100, 139)))


def test_a_restarted_server_is_found_again(ledgers: tuple[bytes, ...], connect: Connect) -> None:
    port = free_port()
    source = connect(f"127.0.0.1:{port}", policy=Policy(attempts=20, first_wait=0.05, longest_wait=0.2))
    chunks = source.read(sa.LedgerRange(100, 139))
    with serving(RawLedgers(ledgers[:20]), port=port):
        seen = [next(chunks).first for _ in range(20)]
    time.sleep(0.3)  # nobody is there for a while
    with serving(RawLedgers(ledgers), port=port):
        seen += [chunk.first for chunk in chunks]
    assert seen == list(range(100, 140))


def test_it_follows_the_chain_until_closed(ledgers: tuple[bytes, ...], connect: Connect) -> None:
    service = RawLedgers(ledgers[:5])
    source = connect(service, policy=Policy())
    assert followed(source, service.add, ledgers[5:10], to=109) == list(range(102, 110))


def test_a_connection_half_open_is_found_out(
    service: RawLedgers, connect: Connect, toxiproxy: Toxiproxy
) -> None:
    with serving(service) as port:
        proxy = toxiproxy.proxy("half-open", f"127.0.0.1:{port}")
        chunks = connect(proxy.address).read(sa.LedgerRange(100, 145))
        seen = [next(chunks).first for _ in range(40)]
        # Nothing passes any more, and nobody says so.
        toxic = proxy.add("timeout", timeout=0)
        for number in range(6):
            service.add(service.ledgers[number])
        healed = threading.Timer(0.7, proxy.remove, (toxic,))
        healed.start()
        seen += [chunk.first for chunk in chunks]
        healed.join()
        proxy.delete()
    assert seen == list(range(100, 146))
    assert service.asked[0] == 100
    assert service.asked[-1] == 140


def test_it_cannot_tell_what_there_is(connect: Connect, service: RawLedgers) -> None:
    source = connect(service)
    assert source.network() is None
    with pytest.raises(sa.ConfigError, match="cannot tell which ledgers it has: name the ledgers"):
        source.available()


@pytest.mark.parametrize("url", ["grpc://", "http://x:1", "grpc://x:1/path", "x:1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(
        sa.ConfigError, match="is no address of a raw-ledger service: write grpc://host:50053"
    ):
        GrpcSource(url)


def disturbed(seed: int, service: RawLedgers, source: GrpcSource) -> None:
    """Read through random faults: all of it, or a clear stop."""
    chance = random.Random(seed)  # noqa: S311
    kinds = ("break", "end", "twice", "skip", "back", "hang", grpc.StatusCode.INTERNAL)
    service.faults = [
        {
            chance.randrange(101, 140): chance.choices(kinds, (4, 4, 4, 2, 4, 1, 3))[0]
            for _ in range(chance.randrange(4))
        }
        for _ in range(8)
    ]
    seen: list[int] = []
    try:
        for chunk in source.read(sa.LedgerRange(100, 139)):
            seen += numbers(iter([chunk]))
    except sa.SourceError:
        assert seen == list(range(100, 100 + len(seen)))
    else:
        assert seen == list(range(100, 140))


@pytest.mark.parametrize("seed", range(8))
def test_random_faults_leave_all_or_a_clear_stop(seed: int, service: RawLedgers, connect: Connect) -> None:
    disturbed(seed, service, connect(service, policy=HASTY))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1_000, 1_300))
def test_many_random_faults_leave_all_or_a_clear_stop(
    seed: int, service: RawLedgers, connect: Connect
) -> None:
    disturbed(seed, service, connect(service, policy=HASTY))
