from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from fakes.process import free_port
from fakes.raw_flight import RawLedgersFlight, serving
from sources.following import followed
from stellarrow.core.decode import Decoder
from stellarrow.net.credentials import ClientCredentials
from stellarrow.net.resilience import Policy
from stellarrow.registry import open_source
from stellarrow.sources.flight import FlightSource
from stellarrow.telemetry.metrics import Metrics

BRISK = Policy(attempts=6, first_wait=0.01, longest_wait=0.1, timeout=30.0, reset_after=0.05)
IMPATIENT = replace(BRISK, attempts=3, timeout=2.0)
HASTY = replace(BRISK, timeout=0.5)  # where a server that is only slow may be given up, too
Connect = Callable[..., FlightSource]


@pytest.fixture
def service(ledgers: tuple[bytes, ...]) -> Iterator[RawLedgersFlight]:
    with serving(ledgers) as server:
        yield server


@pytest.fixture
def connect(service: RawLedgersFlight) -> Iterator[Connect]:
    with ExitStack() as stack:

        def opened(port: int | None = None, **choices: Any) -> FlightSource:
            choices.setdefault("policy", BRISK)
            url = f"flight://127.0.0.1:{port or service.port}"
            return stack.enter_context(closing(FlightSource(url, **choices)))

        yield opened


def numbers(chunks: Iterator[sa.LedgerChunk]) -> list[int]:
    decoder = Decoder(["ledgers"], network="synthetic")
    return [decoder(chunk).first for chunk in chunks]


def test_a_range_arrives_whole(service: RawLedgersFlight, connect: Connect) -> None:
    assert numbers(connect().read(sa.LedgerRange(103, 131))) == list(range(103, 132))
    assert service.asked == [103]


def test_a_ledger_lies_where_it_was_received(connect: Connect, ledgers: tuple[bytes, ...]) -> None:
    chunks = list(connect().read(sa.LedgerRange(103, 131)))
    assert [bytes(chunk.data) for chunk in chunks] == [*ledgers[3:32]]
    assert not any(pa.py_buffer(chunk.data).is_mutable for chunk in chunks)  # or each decoding copied it
    assert {type(chunk.data) for chunk in chunks} == {pa.Buffer}


@pytest.mark.parametrize("fault", ["break", "end", "internal"])
def test_a_broken_stream_goes_on_after_the_last_good_ledger(
    service: RawLedgersFlight, connect: Connect, fault: str
) -> None:
    service.faults = [{110: fault}, {120: fault}]
    metrics = Metrics()
    assert numbers(connect(metrics=metrics).read(sa.LedgerRange(100, 139))) == list(range(100, 140))
    assert service.asked == [100, 110, 120]
    assert b"reconnections_total 2.0" in metrics.text()


def test_ledgers_sent_twice_are_taken_once(service: RawLedgersFlight, connect: Connect) -> None:
    service.faults = [{110: "twice", 111: "twice", 120: "back"}]
    assert numbers(connect().read(sa.LedgerRange(100, 139))) == list(range(100, 140))
    assert service.asked == [100]


def test_a_chunk_can_be_asked_for_again(connect: Connect) -> None:
    source = connect()
    (chunk,) = source.read(sa.LedgerRange(117, 117))
    assert source.refetch(chunk) == chunk


def test_a_ledger_skipped_again_is_loud(service: RawLedgersFlight, connect: Connect) -> None:
    service.faults = [{110: "skip"}, {110: "skip"}]
    with pytest.raises(
        sa.LedgerMissing, match="skips ledger 110 and continues with 111, also when asked again"
    ):
        numbers(connect().read(sa.LedgerRange(100, 139)))
    assert service.asked == [100, 110]


def test_a_silent_stream_is_opened_anew(service: RawLedgersFlight, connect: Connect) -> None:
    service.faults = [{110: "hang"}]
    assert numbers(connect(policy=IMPATIENT).read(sa.LedgerRange(100, 139))) == list(range(100, 140))
    assert service.asked == [100, 110]


def test_a_slow_reader_is_not_taken_for_a_silent_stream(service: RawLedgersFlight, connect: Connect) -> None:
    seen = []
    for chunk in connect(policy=IMPATIENT).read(sa.LedgerRange(100, 101)):
        time.sleep(IMPATIENT.timeout * 1.2)
        seen.append(chunk.first)
    assert (seen, service.asked) == ([100, 101], [100])


def test_silence_that_lasts_stops_with_a_sentence(service: RawLedgersFlight, connect: Connect) -> None:
    service.faults = [{110: "hang"}] * 9
    with pytest.raises(sa.SourceUnavailable, match=r"sent nothing for 2 s"):
        numbers(connect(policy=IMPATIENT).read(sa.LedgerRange(110, 139)))
    assert service.asked == [110] * 3  # as often as the policy says


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ("missing", sa.LedgerMissing, "does not give ledger 100: .*as the test wants"),
        ("locked", sa.SourceError, "as the test wants.*: give a key or token with --source-token"),
        ("invalid", sa.SourceError, "as the test wants"),
        ("unknown", sa.SourceError, "is no raw-ledger service: check host and port"),
        ("null", sa.SourceError, "sends rows that are no ledgers"),
    ],
)
def test_what_no_other_try_mends_is_asked_once(
    service: RawLedgersFlight, connect: Connect, fault: str, error: type[Exception], message: str
) -> None:
    service.faults = [{100: fault}] * 3
    with pytest.raises(error, match=message) as raised:
        numbers(connect().read(sa.LedgerRange(100, 139)))
    assert (service.asked, "\n" in str(raised.value)) == ([100], False)


def test_nobody_there_is_a_sentence(connect: Connect) -> None:
    with pytest.raises(sa.SourceUnavailable, match=r"^flight://127\.0\.0\.1:\d+: .*refused"):
        numbers(connect(free_port()).read(sa.LedgerRange(100, 139)))


def test_a_flight_of_something_else_is_named(ledgers: tuple[bytes, ...], connect: Connect) -> None:
    schema = pa.schema([("amount", pa.uint32()), ("asset", pa.binary())])
    with (
        serving(ledgers, schema=schema) as other,
        pytest.raises(sa.SourceError, match="gives no raw ledgers, but amount, asset: name the Flight port"),
    ):
        numbers(connect(other.port).read(sa.LedgerRange(100, 139)))


def test_a_restarted_server_is_found_again(ledgers: tuple[bytes, ...], connect: Connect) -> None:
    port = free_port()
    source = connect(port, policy=Policy(attempts=30, first_wait=0.05, longest_wait=0.2))
    chunks = source.read(sa.LedgerRange(100, 139))
    with serving(ledgers[:20], port=port):
        seen = [next(chunks).first for _ in range(20)]
    time.sleep(0.3)  # nobody is there for a while
    with serving(ledgers, port=port):
        seen += [chunk.first for chunk in chunks]
    assert seen == list(range(100, 140))


def test_it_follows_the_chain_until_closed(ledgers: tuple[bytes, ...], connect: Connect) -> None:
    with serving(ledgers[:5]) as service:
        source = connect(service.port, policy=Policy())
        assert followed(source, service.add, ledgers[5:10], to=109) == list(range(102, 110))


def test_it_tells_what_the_server_says(service: RawLedgersFlight, connect: Connect) -> None:
    service.metadata = {"network": sa.Network.of("testnet").passphrase, "first_ledger": 100}
    source = connect()
    assert source.network() == sa.Network.of("testnet")
    assert str(source.available()) == "100:"


@pytest.mark.parametrize("said", [{}, {"first_ledger": "100", "network": 7}])
def test_a_server_that_says_nothing_of_its_ledgers_is_asked_for_them_by_number(
    service: RawLedgersFlight, connect: Connect, said: dict[str, Any]
) -> None:
    service.metadata = said
    source = connect()
    assert source.network() is None
    with pytest.raises(sa.ConfigError, match="cannot tell which ledgers it has: name the ledgers"):
        source.available()


def test_every_call_carries_the_credentials(service: RawLedgersFlight, connect: Connect) -> None:
    assert numbers(
        connect(credentials=ClientCredentials.of(["Authorization: Bearer k"])).read(sa.LedgerRange(100, 101))
    ) == [
        100,
        101,
    ]
    assert [headers["authorization"] for headers in service.headers] == [["Bearer k"], ["Bearer k"]]


@pytest.mark.parametrize("url", ["flight://", "http://x:1", "flight://x:1/path", "flight://x", "x:1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(
        sa.ConfigError, match="is no address of a raw-ledger service: write flight://host:8815"
    ):
        FlightSource(url)


def test_the_registry_opens_it() -> None:
    with closing(open_source("flight://127.0.0.1:8815")) as source:
        assert isinstance(source, FlightSource)


def disturbed(seed: int, service: RawLedgersFlight, source: FlightSource) -> None:
    """Read through random faults: all of it, or a clear stop."""
    chance = random.Random(seed)  # noqa: S311
    kinds = ("break", "end", "twice", "skip", "back", "hang", "internal")
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
def test_random_faults_leave_all_or_a_clear_stop(
    seed: int, service: RawLedgersFlight, connect: Connect
) -> None:
    disturbed(seed, service, connect(policy=HASTY))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1_000, 1_300))
def test_many_random_faults_leave_all_or_a_clear_stop(
    seed: int, service: RawLedgersFlight, connect: Connect
) -> None:
    disturbed(seed, service, connect(policy=HASTY))
