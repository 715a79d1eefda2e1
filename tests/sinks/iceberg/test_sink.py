from __future__ import annotations

import pytest

pytest.importorskip("pyiceberg", reason="tests/sinks/test_iceberg.py runs these where PyIceberg is")

from sinks.iceberg.made import IcebergContract, table_of


class TestIcebergSink(IcebergContract):
    """Tables without partitions, sorted by contract."""

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
        for ledger in range(100, 112):
            sink.write(self.batch(ledger, ledger))
            sink.commit()
        sink.close()
        assert len(table_of("ledgers").metadata.snapshots) < 7
        self.assert_holds("100:111")


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
