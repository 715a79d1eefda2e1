from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from itertools import islice
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from sinks.kept import in_order
from sinks.nats.made import NatsContract
from sinks.shared import SharedSinkContract
from stellarrow.core.synthetic import synthetic
from stellarrow.net.resilience import Policy
from stellarrow.sinks.files.formats.jsonl import lines_of
from stellarrow.sinks.nats import batches
from stellarrow.sinks.nats.coverage import CoverageLog
from stellarrow.sinks.nats.stream import Stream


class TestNatsSink(NatsContract, SharedSinkContract):
    """Arrow IPC, a ledger a message."""

    longest = 0.6
    stride = 11

    def opening(self) -> str:
        return (
            "from sinks.nats.stepping import stepping_stream\n"
            "from stellarrow.sinks.nats import NatsSink\n"
            f"sink = NatsSink(stepping_stream({self.url!r}, step), {self.tables!r}, network='synthetic')"
        )

    @pytest.mark.slow
    @pytest.mark.parametrize("each", [False, True])
    def test_killed_before_every_single_step_it_resumes(
        self, forks: subprocess.Popen[str], *, each: bool
    ) -> None:
        self.stride = 1
        self.test_killed_before_any_step_it_resumes(forks, commit_each=each)

    def test_a_commit_of_more_messages_than_a_batch_takes_comes_in_several(self) -> None:
        self.patches.setattr(batches, "BATCH_MESSAGES", 12)
        self.keep((100, 139))
        self.assert_holds("100:139")
        found = self.everything()
        assert len({one["headers"]["Nats-Batch-Id"] for one in found}) > 5
        assert max(int(one["headers"]["Nats-Batch-Sequence"]) for one in found) <= 12
        assert sum(".coverage." in one["subject"] for one in found) == len(self.tables)

    def test_coverage_that_somebody_purged_with_its_rows_is_written_again(self) -> None:
        sink = self.open()
        sink.write(self.batch(100, 104))
        sink.commit()
        self.reader.purge(self.stream, ">")
        sink.write(self.batch(105, 109))
        sink.commit()
        assert str(sink.coverage()) == "105:109"
        sink.close()
        self.keep((100, 109))
        self.assert_holds("100:109")

    def test_windows_that_others_began_before_a_commit_of_ours_are_covered(self) -> None:
        self.ledgers = (*[b""] * 890, *islice(synthetic(20, first=990), 20))
        first, second = self.open(), self.open()
        for sink, ledgers in ((first, (990, 991)), (second, (1000, 1004)), (first, (992, 999))):
            sink.write(self.batch(*ledgers))
            sink.commit()
        assert str(first.coverage()) == "990:1004"

    def test_commits_that_a_server_lost_with_its_power_are_not_covered(self) -> None:
        sink, state = self.open(), Stream.state
        sink.write(self.batch(100, 104))
        sink.commit()
        there = state(sink._stream)
        assert there
        self.patches.setattr(Stream, "state", lambda _: replace(there, messages=0, last=0))
        self.patches.setattr(Stream, "messages", lambda *_: iter(()))
        assert not sink.coverage()

    def test_another_writers_first_batch_that_comes_while_one_looks_is_no_strangers(self) -> None:
        sink, other, refresh = self.open(policy=Policy(attempts=1)), self.open(), CoverageLog.refresh
        looks: list[CoverageLog] = []

        def refreshed(log: CoverageLog) -> None:
            refresh(log)
            looks.append(log)
            if len(looks) == 2:
                other.write(self.batch(100, 104))
                other.commit()

        def failed(*_: Any) -> int:
            raise sa.SinkUnavailable("the server is gone: start it")

        sink.write(self.batch(100, 109))
        with self.patches.context() as patches:
            patches.setattr(Stream, "publish", failed)
            with pytest.raises(sa.SinkUnavailable):
                sink.commit()
        self.patches.setattr(CoverageLog, "refresh", refreshed)
        sink.commit()
        self.assert_holds("100:109")


class TestNatsByContract(NatsContract):
    """Arrow IPC, a message a contract, whose id subjects end in."""

    choices = "&key=contract"
    below = ".*"

    def test_who_wants_one_contract_reads_its_subject(self) -> None:
        self.ledgers = tuple(islice(synthetic(20, first=100, ledger_bytes=20_000), 20))
        self.keep((100, 109), (110, 119))
        due = self.expected("contract_data", 100, 119)
        for contract in {row["contract_id"] for row in due}:
            rows = self.reader.rows(self.stream, f"{self.stream}.contract_data.{contract}")
            assert in_order("contract_data", rows) == [row for row in due if row["contract_id"] == contract]

    def test_what_is_read_back_is_what_was_written(self) -> None:
        self.keep((100, 109))
        for table in self.tables:
            read = sa.scan(self.url, table=table).to_table().to_pylist()
            assert in_order(table, read) == self.expected(table, 100, 109)

    def test_a_ledger_of_more_messages_than_a_batch_takes_is_refused(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(batches, "BATCH_MESSAGES", 3)
        self.ledgers = (*self.ledgers[:3], *islice(synthetic(40, first=103, ledger_bytes=200_000), 1))
        sink = self.open()
        sink.write(self.batch(103, 103))
        with pytest.raises(sa.LedgersRefused, match=r"ledger 103 has .* messages of contract_data, and an"):
            sink.commit()
        assert not sink.coverage()


class TestNatsJson(NatsContract):
    """A ledger a message, a line a row, as JSON."""

    choices = "&format=json"

    def rows_decoded(self, table: str) -> list[dict[str, Any]]:
        found = self.reader.messages(self.stream, self.subject(table))
        return [json.loads(line) for one in found for line in one["value"].splitlines()]

    def expected(self, table: str, first: int, last: int) -> list[dict[str, Any]]:
        rows: pa.RecordBatch = self.batch(first, last).tables[table]
        return in_order(table, [json.loads(line) for line in lines_of(rows).to_pybytes().splitlines()])

    def test_what_is_read_back_is_what_was_written(self) -> None:
        self.keep((100, 109))
        read = sa.scan(self.url, table="contract_data").to_table().to_pylist()
        assert in_order("contract_data", read) == in_order(
            "contract_data", self.batch(100, 109).tables["contract_data"].to_pylist()
        )
