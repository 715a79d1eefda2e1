"""What was written is read back by the commands and in Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

import stellarrow as sa
from fakes.nats import NatsServer
from sinks.holes import hole_told
from sinks.nats.reader import PlainReader
from sinks.read_back import ReadBack, write_parts

Run = Callable[..., Any]


@pytest.fixture
def stream() -> str:
    return token_hex(4)


@pytest.fixture
def url(nats: NatsServer, stream: str) -> str:
    return f"nats://{nats.address}/?stream={stream}"


class TestNats(ReadBack):
    @pytest.fixture
    def place(self, url: str) -> str:
        return url


@pytest.fixture
def written(url: str, stellarrow: Run, make_lake: Callable[..., Path]) -> str:
    return write_parts(url, stellarrow, make_lake())


def test_json_is_read_back_as_it_was_written(
    url: str, ledgers: tuple[bytes, ...], stellarrow: Run, make_lake: Callable[..., Path]
) -> None:
    place = write_parts(f"{url}&format=json&key=contract", stellarrow, make_lake())
    with hole_told("contract_data"):
        rows = sa.scan(place, table="contract_data").to_table().to_pylist()
    due = [
        row
        for ledger in (*ledgers[:20], *ledgers[30:])
        for row in sa.decode(ledger, tables=["contract_data"], network="synthetic")[
            "contract_data"
        ].to_pylist()
    ]
    assert sorted(rows, key=str) == sorted(due, key=str)


def test_check_says_what_is_gone_and_that_it_cannot_be_repaired(
    written: str, stellarrow: Run, nats: NatsServer, stream: str
) -> None:
    with hole_told("ledgers"), hole_told("contract_data"):
        rows = sum(sa.scan(written, table=name).to_table().num_rows for name in ("ledgers", "contract_data"))
    assert f" {rows} rows in all" in stellarrow("check", written).out
    PlainReader(nats.address).purge(stream, f"{stream}.ledgers", keep=20)
    told = stellarrow("check", written)
    assert told.code == 1
    assert "somebody removed the rest" in told.out
    report = json.loads(stellarrow("check", written, "--json").out)
    assert [one["table"] for one in report["faults"]] == ["ledgers"]
    refused = stellarrow("check", written, "--repair")
    assert (refused.code, "cannot be repaired" in refused.err) == (2, True)


def test_what_was_purged_is_not_written_again(
    written: str, stellarrow: Run, nats: NatsServer, stream: str, make_lake: Callable[..., Path]
) -> None:
    PlainReader(nats.address).purge(stream, f"{stream}.ledgers", keep=25)
    done = stellarrow("extract", make_lake(), "--tables", "ledgers,contract_data", "--to", written)
    assert done.code == 0
    told = json.loads(stellarrow("coverage", written, "--json").out)
    assert {one["ledgers"] for one in told["tables"]} == {"100:139"}
    rows = sa.scan(written, table="ledgers").to_table().column("ledger_sequence").to_pylist()
    assert len(rows) == len(set(rows)) == 35


def test_doctor_looks_at_the_stream(url: str, stellarrow: Run, make_lake: Callable[..., Path]) -> None:
    assert "is not there yet" in stellarrow("doctor", "--to", url).out
    write_parts(url, stellarrow, make_lake())
    assert "messages" in stellarrow("doctor", "--to", url).out
