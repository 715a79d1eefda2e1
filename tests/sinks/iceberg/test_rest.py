"""The Iceberg sink with a REST catalog, Nessie, that keeps its tables in an S3 server."""

from __future__ import annotations

import subprocess
from collections import Counter
from secrets import token_hex

import pytest

pytest.importorskip("pyiceberg", reason="tests/sinks/test_iceberg.py runs these where PyIceberg is")

import stellarrow as sa
from fakes.lakehouse import IcebergJudge
from fakes.nessie import Nessie
from sinks.delta.test_others import batch, due
from sinks.iceberg.opening import TABLES, name_catalog
from sinks.iceberg.test_kills import Killing, opened
from sinks.lasting import together
from stellarrow.sinks.iceberg import IcebergSink

pytestmark = pytest.mark.slow


@pytest.fixture
def place(nessie: Nessie) -> str:
    """A namespace of the test's own."""
    name_catalog(nessie.catalog())
    return f"iceberg:test/n{token_hex(4)}?ledgers=10"


def assert_holds(place: str, ledgers: tuple[bytes, ...], held: str) -> None:
    sink = opened(place)
    assert str(sink.coverage()) == held
    sink.close()
    for name in TABLES:
        found = sa.scan(place, table=name, columns=["ledger_sequence"]).to_table()
        wanted = due(ledgers, name, sa.LedgerSet.parse(held))
        assert dict(Counter(found["ledger_sequence"].to_pylist())) == wanted


def test_two_first_writers_at_once_leave_each_ledger_once_and_others_fill_gaps(
    place: str, ledgers: tuple[bytes, ...]
) -> None:
    sinks = [opened(place), opened(place)]
    for first, last in ((100, 104), (103, 111), (120, 124)):
        for sink in sinks:
            sink.write(batch(ledgers, first, last))
        together(*(sink.commit for sink in sinks))
    for sink in sinks:
        sink.close()
    assert_holds(place, ledgers, "100:111, 120:124")


@pytest.mark.parametrize("partition", ["ledgers", "day", "bucket"])
def test_tables_with_partitions_are_made_followed_merged_and_read_back(
    place: str, ledgers: tuple[bytes, ...], partition: str
) -> None:
    place += f"&partition={partition}&buckets=3"
    sink = opened(place)
    for ledger in range(100, 125):
        sink.write(batch(ledgers, ledger, ledger))
        sink.commit()
    sink.close()
    assert_holds(place, ledgers, "100:124")
    IcebergSink.compact(place, 10)
    assert_holds(place, ledgers, "100:124")


def test_four_writers_killed_at_twenty_moments_leave_each_ledger_once(
    nessie: Nessie,
    ledgers: tuple[bytes, ...],
    forks: subprocess.Popen[str],
    iceberg_judge: IcebergJudge,
) -> None:
    settings, run = nessie.catalog(), token_hex(4)
    killing = Killing(forks, iceberg_judge, ledgers, nessie.folder)
    inside = killing.kill_four_writers(lambda at: (settings, f"iceberg:test/n{run}_{at}?ledgers=10"), 20)
    print(f"{inside} writers died within a commit")
