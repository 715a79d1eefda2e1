"""A lake in S3 through bad weather: the same rows as on a fine day, or a clear stop, and never a hole."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from fakes.faulty import Fault, FaultyProxy
from fakes.toxiproxy import Proxy, Toxiproxy
from fakes.versitygw import Bucket
from stellarrow import (
    DecodeError,
    LedgerChunk,
    LedgerMissing,
    LedgerRange,
    Network,
    SourceError,
    SourceUnavailable,
    StellarrowError,
)
from stellarrow.core.decode import Decoder
from stellarrow.core.options import DecodeOptions
from stellarrow.lake.layout import Layout, manifest
from stellarrow.lake.writer import packed
from stellarrow.net.resilience import Policy
from stellarrow.pipeline.dead_letters import DeadLetters
from stellarrow.pipeline.loop import run
from stellarrow.sources.lake import LakeOptions, LakeSource
from stellarrow.telemetry.metrics import Metrics

FIRST, LAST = 100, 139
LAYOUT = Layout(1, 16)
OPTIONS = DecodeOptions(network=Network.of("synthetic"))
WANTED = LedgerRange(FIRST, LAST)
QUICK = Policy(first_wait=0.005, longest_wait=0.05, reset_after=0.05, attempts=12, timeout=5)
SLOW_DOWN = Fault(503, "SlowDown")


@pytest.fixture
def lake(bucket: Bucket, ledgers: tuple[bytes, ...]) -> Bucket:
    """Forty ledgers in a bucket, one a file."""
    bucket.folder.joinpath(".config.json").write_bytes(manifest(LAYOUT, Network.of("synthetic")))
    for ledger, meta in enumerate(ledgers, FIRST):
        path = bucket.folder / LAYOUT.key(ledger)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(packed([meta]))
    return bucket


@pytest.fixture
def rows(ledgers: tuple[bytes, ...]) -> list[dict[str, Any]]:
    """What a fine day gives."""
    decode = Decoder(["ledgers"], network="synthetic")
    chunks = (LedgerChunk(meta, "single", at, at, "memory") for at, meta in enumerate(ledgers, FIRST))
    return [row for chunk in chunks for row in decode(chunk).tables["ledgers"].to_pylist()]


@pytest.fixture
def toxic(lake: Bucket, toxiproxy: Toxiproxy) -> Proxy:
    return toxiproxy.proxy(lake.name, lake.server.address)


@pytest.fixture
def through(lake: Bucket, faulty: FaultyProxy) -> FaultyProxy:
    faulty.upstream = lake.server.address
    return faulty


def opened(
    lake: Bucket, endpoint: str, *, policy: Policy = QUICK, metrics: Metrics | None = None
) -> LakeSource:
    return LakeSource(
        f"s3://{lake.name}", LakeOptions(endpoint=endpoint, poll=0.05), policy=policy, metrics=metrics
    )


def read(source: LakeSource, ledgers: LedgerRange = WANTED) -> list[dict[str, Any]]:
    """Read and decode; what does not decode is fetched once more, as the pipeline does."""
    decode = Decoder(["ledgers"], network="synthetic")
    found: list[dict[str, Any]] = []
    for chunk in source.read(ledgers):
        try:
            batch = decode(chunk)
        except (DecodeError, SourceError):
            batch = decode(source.refetch(chunk))
        found += batch.tables["ledgers"].to_pylist()
    return found


def at_times(*times: int, fault: Fault) -> Callable[[str, str], Fault | None]:
    """Make some of the requests fail, counted from 0."""
    counted = count()
    return lambda _method, _path: fault if next(counted) in times else None


def every(nth: int, fault: Fault) -> Callable[[str, str], Fault | None]:
    counted = count(1)
    return lambda _method, _path: fault if next(counted) % nth == 0 else None


@pytest.mark.parametrize(
    "fault",
    [
        SLOW_DOWN,
        Fault(503, headers={"Retry-After": "1"}),
        Fault(500, "InternalError"),
        Fault(429, "TooManyRequests"),
        Fault(502),
        Fault(cut=0),
        Fault(cut=100),
        Fault(shorten=0),
        Fault(shorten=300),
        Fault(flip=0),
    ],
    ids=str,
)
def test_what_fails_now_and_then_costs_no_row(
    lake: Bucket, through: FaultyProxy, rows: list[dict[str, Any]], fault: Fault
) -> None:
    failed: set[str] = set()

    def once(_method: str, path: str) -> Fault | None:
        """Fail the first request for each of many files."""
        if path in failed or not path.endswith(("0.xdr.zst", "2.xdr.zst", "4.xdr.zst")):
            return None
        failed.add(path)
        return fault

    through.plan = once
    assert read(opened(lake, through.endpoint)) == rows


def test_tries_again_are_counted(lake: Bucket, through: FaultyProxy) -> None:
    metrics = Metrics()
    through.plan = at_times(5, 6, 7, fault=SLOW_DOWN)
    read(opened(lake, through.endpoint, metrics=metrics))
    assert b'retry_attempts_total{operation="lake get"}' in metrics.text()
    assert b"ledgers_received_total 40.0" in metrics.text()


def test_a_store_that_is_down_for_a_while_costs_no_row(
    lake: Bucket, toxic: Proxy, rows: list[dict[str, Any]]
) -> None:
    source = opened(lake, f"http://{toxic.address}")
    decode = Decoder(["ledgers"], network="synthetic")
    found: list[dict[str, Any]] = []
    for number, chunk in enumerate(source.read(WANTED)):
        if number == 10:
            toxic.disable()
        if number == 11:
            toxic.enable()
        found += decode(chunk).tables["ledgers"].to_pylist()
    assert found == rows


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("reset_peer", {"timeout": 5}),
        ("limit_data", {"bytes": 600}),
        ("latency", {"latency": 30, "jitter": 30}),
        ("slicer", {"average_size": 200, "delay": 300}),
        ("timeout", {"timeout": 20}),
    ],
)
def test_connections_that_break_or_drag_cost_no_row(
    lake: Bucket, toxic: Proxy, rows: list[dict[str, Any]], kind: str, attributes: dict[str, Any]
) -> None:
    toxic.add(kind, toxicity=0.4, **attributes)
    patient = replace(QUICK, attempts=60)
    assert read(opened(lake, f"http://{toxic.address}", policy=patient)) == rows


def test_bytes_that_come_too_slowly_are_given_up_and_said(lake: Bucket, toxic: Proxy) -> None:
    toxic.add("bandwidth", rate=1)
    hasty = replace(QUICK, timeout=0.2, attempts=2)
    began = time.monotonic()
    with pytest.raises(SourceUnavailable, match="answer"):
        read(opened(lake, f"http://{toxic.address}", policy=hasty))
    assert time.monotonic() - began < 5


def test_a_store_that_stays_away_is_named_with_its_address(lake: Bucket) -> None:
    with pytest.raises(
        SourceUnavailable, match=rf"s3://{lake.name}.*: the server does not answer: check the network"
    ):
        read(opened(lake, "http://127.0.0.1:9", policy=replace(QUICK, attempts=2)))


def test_an_object_that_is_damaged_where_it_lies_stops_with_its_name(lake: Bucket) -> None:
    path = lake.folder / LAYOUT.key(120)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DecodeError, match=rf"s3://{lake.name}/{LAYOUT.key(120)}"):
        read(opened(lake, lake.server.endpoint))


def test_an_object_of_another_ledger_stops_with_its_name(lake: Bucket) -> None:
    (lake.folder / LAYOUT.key(120)).write_bytes((lake.folder / LAYOUT.key(121)).read_bytes())
    with pytest.raises(SourceError, match=rf"{LAYOUT.key(120)} should hold the ledgers 120"):
        read(opened(lake, lake.server.endpoint))


def test_a_hole_stops_however_bad_the_weather(lake: Bucket, through: FaultyProxy) -> None:
    (lake.folder / LAYOUT.key(120)).unlink()
    through.plan = every(3, SLOW_DOWN)
    with pytest.raises(LedgerMissing, match="ledger 120 is missing"):
        read(opened(lake, through.endpoint))


def test_a_failing_server_is_no_hole(lake: Bucket, through: FaultyProxy) -> None:
    through.plan = lambda _method, path: Fault(500) if "--120.xdr" in path else None
    with pytest.raises(SourceUnavailable, match="answers 500"):
        read(opened(lake, through.endpoint, policy=replace(QUICK, attempts=3)))


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(400, "ExpiredToken"), "the credentials have expired: renew them"),
        (Fault(403, "AccessDenied"), r"the server refuses \(AccessDenied\): check the credentials"),
        (Fault(404, "NoSuchBucket"), "there is no such bucket: check its name, the region and --endpoint"),
        (Fault(400, "InvalidToken"), r"refuses \(InvalidToken\)"),
        (Fault(400, "InvalidRequest"), "answers 400 InvalidRequest: As the test wants"),
        (Fault(301), "the bucket is in another region: set AWS_REGION"),
    ],
    ids=str,
)
def test_what_no_patience_helps_is_said_at_once(
    lake: Bucket, through: FaultyProxy, fault: Fault, told: str
) -> None:
    source = opened(lake, through.endpoint)
    source.available()
    through.plan = lambda _method, path: fault if "--120.xdr" in path else None
    with pytest.raises(SourceError, match=told) as caught:
        read(source)
    assert not isinstance(caught.value, SourceUnavailable | LedgerMissing)
    assert sum("--120.xdr" in path for path in through.gets()) <= 2


def test_credentials_renewed_in_the_profile_are_taken_up(
    lake: Bucket,
    through: FaultyProxy,
    rows: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    profile = tmp_path / "credentials"
    right = f"aws_access_key_id={lake.server.access_key}\naws_secret_access_key={lake.server.secret_key}\n"
    profile.write_text(f"[default]\n{right}aws_session_token=old\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profile))
    source = opened(lake, through.endpoint)
    through.plan = lambda *_: Fault(400, "ExpiredToken")
    with pytest.raises(SourceError, match="expired"):
        source.available()
    profile.write_text(f"[default]\n{right}")
    asked = count()
    through.plan = lambda *_: Fault(400, "ExpiredToken") if next(asked) == 0 else None
    assert read(source) == rows


def test_a_bucket_elsewhere_is_found(
    lake: Bucket, through: FaultyProxy, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_REGION")
    lost = Fault(301, headers={"x-amz-bucket-region": lake.server.region})
    asked = count()
    through.plan = lambda method, _path: lost if method == "HEAD" or next(asked) == 0 else None
    assert read(opened(lake, through.endpoint)) == rows


KINDS = (
    *(SLOW_DOWN, Fault(500), Fault(429, headers={"Retry-After": "0"}), Fault(502, "BadGateway")),
    *(Fault(cut=0), Fault(cut=50), Fault(shorten=200), Fault(flip=1), Fault(wait=0.01)),
    *(Fault(404, "NoSuchKey"), Fault(403, "AccessDenied"), Fault(400, "ExpiredToken")),
)
PASSING = 9  # the first so many kinds pass


def schedule(lake: Bucket, through: FaultyProxy, rows: list[dict[str, Any]], seed: int) -> None:
    """Read a few ledgers while a seeded share of the answers fails in seeded ways."""
    chance = random.Random(seed)  # noqa: S311
    share = chance.choice((0.05, 0.2, 0.4))
    kinds = KINDS if chance.random() < 0.3 else KINDS[:PASSING]
    first = chance.randrange(FIRST, LAST - 12)
    wanted = LedgerRange(first, first + chance.randrange(1, 12))
    through.plan = lambda *_: chance.choice(kinds) if chance.random() < share else None
    policy = Policy(first_wait=0.001, longest_wait=0.004, reset_after=0.004, attempts=40, timeout=5)
    expected = rows[first - FIRST : wanted.end - FIRST + 1]
    source = LakeSource(
        f"s3://{lake.name}",
        LakeOptions(endpoint=through.endpoint, fetchers=chance.choice((None, 1, 3))),
        policy=policy,
    )
    try:
        found = read(source, wanted)
    except StellarrowError:
        # A clear stop: what refuses for good, or what came damaged twice.
        through.plan = lambda *_: None
        found = read(source, wanted)
    assert found == expected, f"seed {seed}"


@pytest.mark.parametrize("seed", range(30))
def test_random_faults_cost_no_row(
    lake: Bucket, through: FaultyProxy, rows: list[dict[str, Any]], seed: int
) -> None:
    schedule(lake, through, rows, seed)


@pytest.mark.slow
def test_a_thousand_random_schedules_cost_no_row(
    lake: Bucket, through: FaultyProxy, rows: list[dict[str, Any]]
) -> None:
    for seed in range(1_000, 2_000):
        schedule(lake, through, rows, seed)


def test_the_pipeline_fetches_what_came_damaged_once_more(lake: Bucket, through: FaultyProxy) -> None:
    failed: set[str] = set()

    def once(_method: str, path: str) -> Fault | None:
        if path in failed or "--12" not in path:
            return None
        failed.add(path)
        return Fault(shorten=300)

    through.plan = once
    source = opened(lake, through.endpoint)
    report = run(source, tables=["ledgers"], sinks=[], options=OPTIONS, ledgers=WANTED)
    assert (report.ledgers, str(report.ranges)) == (40, "100:139")


def test_the_pipeline_puts_an_object_aside_that_is_damaged_where_it_lies(
    lake: Bucket, tmp_path: Path
) -> None:
    path = lake.folder / LAYOUT.key(120)
    path.write_bytes(path.read_bytes()[:-40])
    letters = DeadLetters(tmp_path / "letters")
    report = run(
        opened(lake, lake.server.endpoint),
        tables=["ledgers"],
        sinks=[],
        options=OPTIONS,
        ledgers=WANTED,
        dead_letters=letters,
    )
    assert (str(report.ranges), str(report.quarantined)) == ("100:119, 121:139", "120")
    assert [letter.ledger for letter in letters.entries()] == [120]
