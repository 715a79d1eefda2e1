"""`extract --verify`: row counts of every ledger, each file and table read once, damage beside."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

import stellarrow as sa
from stellarrow.cli import invoke
from stellarrow.errors import SinkError
from stellarrow.sinks.postgres.server import Server
from stellarrow.storage.local_files import LocalFiles
from stellarrow.verification.stored_tables import stored_tables

TABLES = "ledgers,contract_data,contract_events"
Extract = Callable[..., tuple[int, dict[str, Any]]]
PLACES = ["parquet", "jsonl", "csv", "jsonl?codec=zstd", "parquet?partition=event_type", "csv?partition=hour"]


@pytest.fixture
def extract(make_lake: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> Extract:
    """Extract forty ledgers, one by one out of a lake; return the exit code and the report."""
    lake = make_lake()

    def run(place: str, *words: str) -> tuple[int, dict[str, Any]]:
        code = invoke(["extract", str(lake), "--tables", TABLES, "--to", place, "--json", *words])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else {"error": said.err}

    return run


def placed(kind: str, folder: Path) -> str:
    name, _, options = kind.partition("?")
    return f"{name}:{folder}?ledgers=10" + (f"&{options}" if options else "")


@pytest.mark.parametrize("kind", PLACES)
def test_each_file_is_read_once(
    extract: Extract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    place = placed(kind, tmp_path / "out")
    assert extract(place)[0] == 0
    read: Counter[str] = Counter()
    plain = LocalFiles.read

    def counting(self: LocalFiles, path: str) -> Any:
        read[path] += not path.endswith(".json")  # the manifest
        return plain(self, path)

    monkeypatch.setattr(LocalFiles, "read", counting)
    code, report = extract(place, "--verify")
    assert (code, report["ledgers"], report["differences"]) == (0, 40, [])
    files = {path for path in read if read[path]}
    assert len(files) >= 4 * 3
    assert {read[path] for path in files} == {1}


@pytest.mark.parametrize("kind", PLACES)
def test_one_damaged_file_is_named_and_all_others_are_compared(
    extract: Extract, tmp_path: Path, kind: str
) -> None:
    out = tmp_path / "out"
    place = placed(kind, out)
    assert extract(place)[0] == 0
    hurt = next(path for path in (out / "contract_events").rglob("*0000000110-*") if path.suffix != ".json")
    hurt.write_bytes(hurt.read_bytes()[:-7])
    code, report = extract(place, "--verify")
    assert (code, report["differences"]) == (1, [])
    (fault,) = report["faults"]
    assert (fault["table"], fault["ledgers"]) == ("contract_events", "110:119")
    assert hurt.name in fault["what"]


def test_only_wanted_files_are_read(extract: Extract, tmp_path: Path) -> None:
    place = placed("jsonl", tmp_path / "out")
    assert extract(place)[0] == 0
    for path in (tmp_path / "out" / "ledgers").glob("0000000100-*"):
        path.write_bytes(b"{")
    code, report = extract(place, "--verify", "--ledgers", "115:118,131")
    assert (code, report["ledgers"], report["faults"]) == (0, 5, [])


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_rows_without_a_ledger_are_damage(extract: Extract, tmp_path: Path, kind: str) -> None:
    place = placed(kind, tmp_path / "out")
    assert extract(place)[0] == 0
    path = next((tmp_path / "out" / "ledgers").glob("0000000120-*"))
    path.write_bytes(path.read_bytes().replace(b"ledger_sequence", b"ledger_sequenze"))
    (table,) = (one for one in stored_tables(place) if one.table == "ledgers")
    counts = {str(one.ledgers): one for one in table.row_counts(sa.LedgerSet.parse("100:139"))}
    assert [isinstance(one.error, SinkError) for one in counts.values()] == [False, False, True, False]
    assert counts["100:109"].rows == dict.fromkeys(range(100, 110), 1)


@pytest.fixture
def loaded(extract: Extract, database: str) -> str:
    """The URL of a database with the forty ledgers, written ledger by ledger."""
    parts = psycopg.conninfo.conninfo_to_dict(database)
    url = "postgresql:///{dbname}?host={host}&port={port}&user={user}".format(**parts)
    assert extract(url)[0] == 0
    return url


def test_a_database_is_counted_by_itself_over_one_connection_a_table(
    extract: Extract, loaded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledgers = sa.LedgerSet.parse("100:139")
    plain, opened = Server.connect, Counter[str]()

    def counting(self: Server) -> Any:
        opened["connections"] += 1
        return plain(self)

    monkeypatch.setattr(Server, "connect", counting)
    for table in stored_tables(loaded):
        opened.clear()
        (counts,) = table.row_counts(ledgers)
        assert (counts.ledgers, opened["connections"]) == (sa.LedgerRange(100, 139), 1)
        read = Counter[int]()
        for rows in table.read(["ledger_sequence"], counts.ledgers):
            read.update(rows.column(0).to_pylist())
        assert counts.rows == read
    assert extract(loaded, "--verify")[1]["differences"] == []


def test_rows_that_were_deleted_from_a_database_are_named(extract: Extract, loaded: str) -> None:
    with psycopg.connect(loaded, autocommit=True) as connection:
        connection.execute(
            "DELETE FROM stellar.contract_events WHERE ledger_sequence = 105 AND event_index = 0"
        )
        connection.execute("DELETE FROM stellar.ledgers WHERE ledger_sequence BETWEEN 131 AND 132")
    code, report = extract(loaded, "--verify")
    assert code == 1
    assert {(one["table"], one["ledger"]) for one in report["differences"]} == {
        ("contract_events", 105), ("ledgers", 131), ("ledgers", 132),
    }  # fmt: skip
