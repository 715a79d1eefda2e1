"""Every sink that needs no server, by every command and function that reads: it answers, or says why not."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from stellarrow.backfilling.backfill import backfill
from stellarrow.cli import invoke

Run = Callable[..., Any]
TABLES = ("ledgers", "contract_data", "token_transfers")
PLACES = ("parquet:files", "jsonl:lines", "csv:texts", "delta:delta", "duckdb:stellar.db")
COUNT = "select count(*) as n from ledgers"
ROWS = 12


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lake, and the same twelve ledgers of it in each place."""
    folder = tmp_path_factory.mktemp("places")
    stream = folder / "ledgers.xdr"
    stream.write_bytes(sa.synth(ledgers=ROWS, first=100, ledger_bytes=4_096))
    for place in PLACES:
        form, _, name = place.partition(":")
        words = ["--tables", ",".join(TABLES), "--network", "synthetic", "--to", f"{form}:{folder}/{name}"]
        assert invoke(["extract", str(stream), *words]) == 0
    return folder


@pytest.fixture(autouse=True)
def _there(extracted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(extracted)


@pytest.mark.parametrize("place", [*PLACES, "files", "./files"])
def test_what_a_sink_wrote_is_asked_by_the_address_it_was_written_to(stellarrow: Run, place: str) -> None:
    assert json.loads(stellarrow("sql", COUNT, "--data", place, "--json").out) == {"n": ROWS}
    assert stellarrow("check", place).code == 0
    told = json.loads(stellarrow("coverage", place, "--verify", "--json").out)
    assert {one["ledgers"] for one in told["tables"]} == {f"100:{99 + ROWS}"}
    assert not any(one["faults"] for one in told["tables"])
    assert sa.scan(place, table="ledgers").to_table().num_rows == ROWS
    assert sa.aggregate(place, "count(*) as n", table="ledgers").to_pylist() == [{"n": ROWS}]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["transfers", "storage"])
def test_figures_of_what_a_sink_wrote_are_those_of_its_ledgers(place: str, name: str) -> None:
    wanted = sa.analytics("ledgers.xdr", name, network="synthetic", window="1m")
    assert sa.analytics(place, name, window="1m").equals(wanted)
    some = sa.analytics("ledgers.xdr", name, network="synthetic", ledgers="103:105")
    assert sa.analytics(place, name, ledgers="103:105").equals(some)


@pytest.mark.parametrize("place", PLACES)
def test_compact_merges_or_says_that_nothing_is_to_be_merged(stellarrow: Run, place: str) -> None:
    done = stellarrow("compact", place)
    assert done.code == (2 if place.startswith("duckdb") else 0)
    assert "nothing to merge" in done.out or "tidies up by itself" in done.err


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("stellar.db", "is a DuckDB database: name duckdb:stellar.db"),
        ("delta", "is a Delta table"),
        ("delta/ledgers", "is a Delta table"),
        ("parquet:delta", "is a Delta table"),
        ("parquet:nowhere", "does not exist"),
        ("delta:files", ""),
    ],
)
def test_a_place_by_another_name_than_its_sinks_is_a_sentence_and_never_rows(
    stellarrow: Run, place: str, told: str
) -> None:
    for words in (("sql", COUNT, "--data", place), ("check", place), ("coverage", place), ("compact", place)):
        done = stellarrow(*words)
        assert told in done.err, words
        assert done.code in (1, 2) or (words[0] == "compact" and "nothing to merge" in done.out), words
    asks: list[Callable[[], Any]] = [
        lambda: sa.scan(place, table="ledgers").to_table(),
        lambda: sa.analytics(place, "transfers"),
        lambda: sa.aggregate(place, "count(*) as n", table="ledgers"),
    ]
    for ask in asks:
        with pytest.raises(sa.StellarrowError) as error:
            ask()
        assert told in str(error.value)


def test_a_table_that_a_place_has_not_is_named_with_those_it_has() -> None:
    for place in ("parquet:files", "files", "delta:delta", "duckdb:stellar.db"):
        with pytest.raises(sa.SourceError, match=r"contract_events.*it has contract_data, ledgers, token"):
            sa.scan(place, table="contract_events")


def test_a_backfill_into_a_file_of_one_writer_takes_one_worker_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = f"duckdb:{tmp_path}/filled.db"
    with caplog.at_level(logging.WARNING):
        report = backfill("ledgers.xdr", tables=["ledgers"], sinks=place, network="synthetic", workers=3)
    assert report.ledgers == ROWS
    assert "DuckDB lets one process at a time write to" in caplog.text
    assert "one worker brings all ledgers" in caplog.text
    assert sa.scan(place, table="ledgers").to_table().num_rows == ROWS
