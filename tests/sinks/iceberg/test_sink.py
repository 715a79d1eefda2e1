from __future__ import annotations

from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("pyiceberg", reason="tests/sinks/test_iceberg.py runs these where PyIceberg is")

from pyiceberg.exceptions import CommitFailedException, ServerError
from pyiceberg.expressions import EqualTo

import stellarrow as sa
from sinks.delta.opening import options
from sinks.iceberg.made import URL, IcebergContract, table_of
from sinks.iceberg.opening import configure
from sinks.lasting import FlatContract
from sinks.typed_tables import TypedTablesContract
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from stellarrow.sinks.iceberg import IcebergSink
from stellarrow.sinks.iceberg.book import IcebergBook
from stellarrow.sinks.iceberg.location import Location


class TestIcebergSink(IcebergContract, FlatContract):
    """Tables without partitions, sorted by contract."""

    def widen(self) -> None:
        self.choices = "&ledgers=1000"

    def test_schema_ids_and_the_sort_order_stay(self) -> None:
        self.keep((100, 104))
        before = {field.name: field.field_id for field in table_of("contract_data").schema().fields}
        self.keep((105, 109))
        table = table_of("contract_data")
        assert {field.name: field.field_id for field in table.schema().fields} == before
        (sorting,) = table.sort_order().fields
        assert table.schema().find_column_name(sorting.source_id) == "contract_id"

    def test_a_snapshot_tells_its_ledgers_so_that_time_travels_by_ledger(self) -> None:
        self.keep((100, 104))
        self.keep((105, 109))
        table = table_of("ledgers")
        first = next(
            one
            for one in table.metadata.snapshots
            if one.summary and one.summary.additional_properties.get("stellarrow.ledgers") == "100:104"
        )
        rows = table.scan(snapshot_id=first.snapshot_id).to_arrow()["ledger_sequence"].to_pylist()
        assert sorted(rows) == [*range(100, 105)]

    def test_snapshots_stay_few(self) -> None:
        self.choices = "&snapshots=3"
        sink = self.open()
        for ledger in range(100, 130):
            sink.write(self.batch(ledger, ledger))
            sink.commit()
        self.settle(sink)
        sink.close()
        assert 3 <= len(table_of("ledgers").metadata.snapshots) <= 16
        self.assert_holds("100:129")

    def test_the_library_has_nothing_to_warn_of(self, caplog: pytest.LogCaptureFixture) -> None:
        self.tables = ("contract_events", "contract_data", "token_transfers")
        self.keep((100, 104), (105, 109))
        assert not [record for record in caplog.records if record.name.startswith("pyiceberg")]

    def test_what_another_brought_just_after_snapshots_expired_is_not_written_twice(self) -> None:
        self.choices = "&snapshots=1"
        sink = self.open()
        for ledger in range(100, 112):
            sink.write(self.batch(ledger, ledger))
            sink.commit()
        assert len(table_of("ledgers").metadata.snapshots) < 11, "none expired"
        self.keep((112, 114))
        sink.write(self.batch(112, 116))
        sink.commit()
        sink.close()
        self.assert_holds("100:116")

    def test_snapshots_that_another_let_expire_at_the_same_moment_hinder_no_commit(self) -> None:
        self.choices = "&snapshots=1"
        sink = self.open()
        for ledger in range(100, 111):  # as many as the next commit lets expire
            sink.write(self.batch(ledger, ledger))
            sink.commit()
        assert len(table_of("ledgers").metadata.snapshots) == 11
        self.tend()
        sink.write(self.batch(111, 111))
        sink.commit()
        sink.close()
        self.assert_holds("100:111")

    @pytest.mark.parametrize("refusal", [CommitFailedException, ServerError])
    def test_a_commit_that_was_taken_before_it_was_refused_is_not_taken_back(
        self, monkeypatch: pytest.MonkeyPatch, refusal: type[Exception]
    ) -> None:
        """As where a proxy repeats a commit whose answer was lost, and others commit meanwhile."""
        self.keep((100, 104))
        commits = IcebergBook._committed
        refused = list[str]()

        def committed(book: IcebergBook, *given: Any) -> None:
            commits(book, *given)
            if book._meant.name not in refused:
                refused.append(book._meant.name)
                self.keep((105, 109))
                raise refusal("Requirement failed: branch main has changed")

        monkeypatch.setattr(IcebergBook, "_committed", committed)
        self.keep((110, 114))
        assert len(refused) == len(self.tables)
        self.assert_holds("100:114")

    def test_a_range_that_is_full_is_merged_beside_the_writers(self) -> None:
        sink = self.open()
        for ledger in range(100, 112):
            sink.write(self.batch(ledger, ledger))
            sink.commit()
        self.settle(sink)
        sink.close()
        for name in self.tables:
            files = [task.file.record_count for task in table_of(name).scan().plan_files()]
            assert len(files) == 3, "one of 100 to 109, and one each of 110 and 111"
        self.assert_holds("100:111")

    def test_files_of_a_table_that_another_made_otherwise_are_divided_as_it_is(self) -> None:
        self.choices = "&partition=bucket&buckets=2"
        sink = self.open()
        sink.write(self.batch(100, 104))  # divided, while there is no table
        with closing(IcebergSink(f"{URL}&partition=ledgers", self.tables, options=options())) as other:
            other.write(self.batch(105, 109))
            other.commit()
        sink.commit()
        sink.close()
        self.assert_holds("100:109")
        for task in table_of("contract_data").scan().plan_files():
            assert task.file.partition[0] == 0


@pytest.mark.slow
class TestIcebergByLedgers(IcebergContract):
    """Tables with a partition each hundred thousand ledgers."""

    choices = "&partition=ledgers"

    def tend(self) -> None:
        """Nothing that others do here differs from what they do to tables without partitions."""

    def test_files_lie_in_the_partition_of_their_ledgers(self) -> None:
        self.keep((100, 109))
        tasks = [*table_of("ledgers").scan().plan_files()]
        assert [task.file.partition[0] for task in tasks] == [0]


@pytest.mark.slow
class TestIcebergByBucket(IcebergContract):
    """Tables whose rows are divided by contract into four buckets."""

    choices = "&partition=bucket(contract_id)&buckets=4"

    def test_a_bucket_has_contracts_of_its_own_and_a_filter_on_one_opens_few_files(self) -> None:
        self.keep((100, 109), (110, 119))
        table = table_of("contract_data")
        wanted = self.expected("contract_data", 100, 119)
        contract = wanted[0]["contract_id"]
        every = [*table.scan().plan_files()]
        found = table.scan(row_filter=EqualTo("contract_id", contract))
        assert 0 < len([*found.plan_files()]) <= len(every) // 2
        assert found.to_arrow().num_rows == sum(row["contract_id"] == contract for row in wanted)
        buckets: dict[str, set[Any]] = {}
        for task in every:
            rows = pq.ParquetFile(task.file.file_path.removeprefix("file://")).read(["contract_id"])
            for one in rows["contract_id"].to_pylist():
                buckets.setdefault(one, set()).add(task.file.partition[0])
        assert all(len(one) == 1 for one in buckets.values())
        assert table_of("ledgers").spec().is_unpartitioned(), "it has no contract_id"


@pytest.mark.slow
class TestIcebergByDay(IcebergContract):
    """Tables with a partition each day."""

    choices = "&partition=day(closed_at)"


def test_rows_are_divided_by_day_where_a_batch_has_several(tmp_path: Path) -> None:
    configure(tmp_path)
    rows = sa.Decoder(["ledgers"], network="synthetic")
    made = tuple(islice(synthetic(20, first=100, ledger_bytes=4_096), 4))
    data = frame(made, "record-marked")
    batch = rows(sa.LedgerChunk(data, "record-marked", 100, 103, "memory"))
    at = batch.tables["ledgers"].schema.get_field_index("closed_at")
    days = pa.array([0, 86_399_999_999, 86_400_000_000, 3 * 86_400_000_000], pa.timestamp("us", "UTC"))
    ledgers = batch.tables["ledgers"]
    ledgers = ledgers.set_column(at, ledgers.schema.field(at), days.cast(ledgers.schema.field(at).type))
    with closing(IcebergSink(f"{URL}&partition=day", ["ledgers"], options=options())) as sink:
        sink.write(sa.LedgerBatch(100, 103, {"ledgers": ledgers}, batch.run))
        sink.commit()
    table = table_of("ledgers")
    found = {task.file.partition[0]: task.file.record_count for task in table.scan().plan_files()}
    assert found == {0: 2, 1: 1, 3: 1}
    assert len(table.metadata.snapshots) == 1, "one commit"
    day = table.scan(row_filter="closed_at >= '1970-01-02T00:00:00+00:00'")
    assert sorted(day.to_arrow()["ledger_sequence"].to_pylist()) == [102, 103]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("partition=month", "partition is none, ledgers, day or bucket"),
        ("partition=bucket&buckets=0", "buckets is a number, such as"),
        ("partitions=day", "did you mean partition?"),
    ],
)
def test_partitions_that_cannot_be_meant_are_a_sentence(words: str, told: str) -> None:
    with pytest.raises(sa.ConfigError) as error:
        Location.parse(f"iceberg:test/stellar?{words}")
    assert told in str(error.value)


@pytest.mark.slow
class TestTypedTables(TypedTablesContract, IcebergContract):
    """A contract's own tables in Iceberg."""

    stride = 5

    @property
    def address(self) -> str:
        return URL + self.choices
