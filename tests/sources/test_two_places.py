"""One lake in two object stores, in two regions: each stands in for what the other cannot give."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pytest

import stellarrow as sa
from fakes.versitygw import S3, started
from stellarrow import registry
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.synthetic import synthetic
from stellarrow.net.resilience import Policy
from stellarrow.telemetry.metrics import Metrics

BRISK = Policy(attempts=2, first_wait=0.01, longest_wait=0.05, timeout=10.0, reset_after=0.05)
TABLES = ("ledgers", "contract_events")


class Places:
    """Two servers with the same lake on each."""

    def __init__(self, servers: tuple[S3, S3], lake: Path) -> None:
        self.servers = servers
        for number, server in enumerate(servers):
            server.bucket(f"region{number}")
            shutil.copytree(lake, self.folder(number))

    def folder(self, number: int) -> Path:
        return self.servers[number].root / f"region{number}" / "lake"

    @property
    def urls(self) -> list[str]:
        return [
            f"s3://region{number}/lake?endpoint={server.endpoint}"
            for number, server in enumerate(self.servers)
        ]

    @property
    def url(self) -> str:
        return ",".join(self.urls)

    def file(self, number: int, ledger: int) -> Path:
        (found,) = self.folder(number).rglob(f"*--{ledger}.xdr.zst")
        return found


@pytest.fixture
def places(
    make_lake: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Places]:
    lake = make_lake()
    with ExitStack() as stack:
        servers = []
        for name in ("here", "there"):
            folder = tmp_path / name
            (folder / "metadata").mkdir(parents=True)
            servers.append(stack.enter_context(started(folder, "--sidecar", folder / "metadata")))
        environ = servers[0].environment | {"HOME": str(tmp_path)}
        del environ["AWS_ENDPOINT_URL"]
        for variable, value in environ.items():
            monkeypatch.setenv(variable, value)
        yield Places((servers[0], servers[1]), lake)
        for server in servers:
            server.process.kill()  # an orderly end waits for connections that are kept open


def spoil(places: Places) -> None:
    """Take ledgers from one place and the other, or damage them, so that neither is whole."""
    places.file(0, 102).write_bytes(places.file(0, 102).read_bytes()[:-20])
    places.file(0, 107).write_bytes(places.file(0, 108).read_bytes())
    places.file(0, 112).unlink()
    places.file(1, 105).unlink()
    places.file(1, 130).write_bytes(b"\xff" * 100)


def opened(places: Places, metrics: Metrics) -> sa.Source:
    return registry.open_source(places.url, policy=BRISK, metrics=metrics)


def in_order(table: pa.Table) -> pa.Table:
    order = [(name, "ascending") for name in table.column_names if name.endswith(("sequence", "index"))]
    return table.sort_by(order)


def test_what_is_missing_or_damaged_in_one_place_is_read_from_the_other(
    places: Places, make_lake: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(places)
    metrics = Metrics()
    with closing(opened(places, metrics)) as source, caplog.at_level(logging.WARNING):
        report = sa.run(source, tables=TABLES, sinks=f"parquet:{tmp_path}/out", network="synthetic")
    assert (str(report.ranges), report.quarantined) == ("100:139", sa.LedgerSet())
    whole = make_lake(name="whole")
    for table in TABLES:
        wanted = in_order(sa.scan(whole, table=table).to_table())
        assert in_order(sa.scan(tmp_path / "out", table=table).to_table()).equals(wanted)
        assert in_order(sa.scan(places.url, table=table).to_table()).equals(wanted)
    told = [one.getMessage() for one in caplog.records]
    for ledger in (102, 107, 112):
        assert any(f"ledger {ledger} is read from s3://region1/lake" in one for one in told), ledger
    stood_in = metrics.registry.get_sample_value("source_stand_ins_total", {"source": "s3://region1/lake"})
    assert stood_in
    assert stood_in >= 3


def test_an_empty_file_is_read_from_the_other_place(places: Places) -> None:
    places.file(0, 104).write_bytes(b"")
    with closing(opened(places, Metrics())) as source:
        chunks = list(source.read(sa.LedgerRange(100, 139)))
    assert [chunk.first for chunk in chunks] == list(range(100, 140))
    assert all(chunk.data for chunk in chunks)


def test_a_place_that_is_away_is_done_without_from_the_beginning_and_in_the_middle(
    places: Places, tmp_path: Path
) -> None:
    with closing(opened(places, Metrics())) as source:
        chunks = source.read(sa.LedgerRange(100, 139))
        seen = [next(chunks).first for _ in range(5)]
        places.servers[0].process.kill()
        seen += [chunk.first for chunk in chunks]
    assert seen == list(range(100, 140))
    with closing(opened(places, Metrics())) as source:
        report = sa.run(source, tables=TABLES, sinks=f"parquet:{tmp_path}/out")
    assert str(report.ranges) == "100:139"


def test_what_both_have_damaged_stops_with_its_ledger_and_all_before_it_is_there(
    places: Places, tmp_path: Path
) -> None:
    for number in (0, 1):
        file = places.file(number, 117)
        file.write_bytes(file.read_bytes()[: -20 - number])
    with closing(opened(places, Metrics())) as source, pytest.raises(sa.StellarrowError, match="117"):
        sa.run(source, tables=["ledgers"], sinks=f"parquet:{tmp_path}/out", network="synthetic")
    rows = sa.scan(tmp_path / "out", table="ledgers").to_table().column("ledger_sequence").to_pylist()
    assert sorted(rows) == list(range(100, 117))


def test_what_neither_has_is_told_of_both(places: Places) -> None:
    for number in (0, 1):
        places.file(number, 117).unlink()
    with closing(opened(places, Metrics())) as source, pytest.raises(sa.LedgerMissing) as caught:
        list(source.read(sa.LedgerRange(110, 139)))
    assert "no source has ledger 117" in str(caught.value)
    assert "region0" in str(caught.value)
    assert "region1" in str(caught.value)


def test_after_what_it_lacked_the_first_place_is_read_again(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellarrow.sources.chained._STAND_IN_LEDGERS", 3)
    places.file(0, 112).unlink()
    with closing(opened(places, Metrics())) as source:
        chunks = list(source.read(sa.LedgerRange(100, 139)))
    assert [chunk.first for chunk in chunks] == list(range(100, 140))
    from_there = [chunk.first for chunk in chunks if chunk.where.startswith("s3://region1/")]
    assert from_there == [112, 113, 114]


def test_two_networks_side_by_side_never_mix(places: Places, tmp_path: Path) -> None:
    """One process has pubnet of one store and testnet of another, into folders of their own."""
    for number, network in enumerate(("pubnet", "testnet")):
        shutil.rmtree(places.folder(number))
        made = islice(synthetic(20, first=100, ledger_bytes=4_096, network=network), 40)
        write_lake(places.folder(number), made, first=100, network=sa.Network.of(network))
    reports = [
        sa.run(url, tables=["ledgers"], sinks=f"parquet:{tmp_path}/{network}")
        for url, network in zip(places.urls, ("pubnet", "testnet"), strict=True)
    ]
    assert [report.ledgers for report in reports] == [40, 40]
    hashes = [
        {*sa.scan(tmp_path / network, table="ledgers").to_table().column("ledger_hash").to_pylist()}
        for network in ("pubnet", "testnet")
    ]
    assert not hashes[0] & hashes[1]
    with pytest.raises(sa.SchemaMismatch, match="Test SDF Network"):
        sa.run(places.urls[1], tables=["ledgers"], sinks=f"parquet:{tmp_path}/pubnet")
    with pytest.raises(sa.NetworkMismatch, match="testnet"):
        sa.run(places.url, tables=["ledgers"], sinks=f"parquet:{tmp_path}/both")
