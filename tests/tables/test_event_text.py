"""`event_text`: an event in words, the same in every sink and in `inspect`, null in files that are older."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import stellarrow as sa
from stellarrow.cli import invoke
from stellarrow.cli.output.events import in_words
from stellarrow.core.contract import describe
from stellarrow.sinks.files.manifest import checksum

LEDGERS = Path(sa.__file__).parent / "data" / "ledgers"
FILES = ("parquet", "jsonl", "csv")
Sql = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def events() -> pa.Table:
    """The events of the package's ledgers, decoded."""
    return pa.table(sa.scan(LEDGERS, table="contract_events", network="pubnet", decoded=True))


@pytest.fixture
def sql(capsys: pytest.CaptureFixture[str]) -> Sql:
    def run(query: str, *words: object) -> list[dict[str, Any]]:
        capsys.readouterr()
        assert invoke(["sql", query, "--json", *map(str, words)]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def words(event: dict[str, Any]) -> str:
    name, *topics = map(describe, event["topics_xdr"])
    return f"{name}({', '.join(topics)}) → {describe(event['data_xdr'])}"


def test_an_event_is_said_in_words_of_its_topics_and_data(events: pa.Table) -> None:
    found = events.to_pylist()
    assert len(found) > 10
    assert [event["event_text"] for event in found] == list(map(words, found))
    assert "mint(" in "".join(event["event_text"] for event in found)


def test_inspect_says_an_event_in_the_same_words(events: pa.Table) -> None:
    said = list(in_words(events, 3))
    assert said
    for line in said:
        name = line.partition("(")[0]
        assert any(text.startswith(f"{name}(") for text in events["event_text"].to_pylist())
        assert ") → " in line or line.endswith("…")


def extract(place: str) -> int:
    line = ["extract", str(LEDGERS), "--tables", "contract_events", "--network", "pubnet", "--decoded"]
    return invoke([*line, "--to", place])


@pytest.mark.parametrize("kind", FILES)
def test_files_keep_the_words(events: pa.Table, sql: Sql, tmp_path: Path, kind: str) -> None:
    assert extract(f"{kind}:{tmp_path}") == 0
    order = "order by ledger_sequence, transaction_index, operation_index, stage, event_index"
    found = sql(f"select event_text from contract_events {order}", "--data", tmp_path)
    assert sorted(one["event_text"] for one in found) == sorted(events["event_text"].to_pylist())


def test_postgresql_keeps_the_words(events: pa.Table, sql: Sql, database: str) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(database)
    url = "postgresql:///{dbname}?host={host}&port={port}&user={user}".format(**parts)
    assert extract(url) == 0
    found = sql("select event_text from contract_events", "--data", url)
    assert sorted(one["event_text"] for one in found) == sorted(events["event_text"].to_pylist())


def forget(folder: Path, kind: str) -> None:
    """Leave the column out of the files, as a release wrote them that did not know it."""
    for entry in (folder / "contract_events" / "_manifest").glob("*.json"):
        said = json.loads(entry.read_text())
        path = folder / "contract_events" / said["files"][0]["path"]
        _without(path, kind)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        said["files"][0] = {name: said["files"][0][name] for name in ("path", "rows")}
        said["files"][0] |= {"bytes": path.stat().st_size, "sha256": digest}
        del said["checksum"]
        entry.write_text(json.dumps({**said, "checksum": checksum(said)}))


def _without(path: Path, kind: str) -> None:
    if kind == "parquet":
        kept = pq.read_table(path, partitioning=None).drop_columns("event_text")
        facts = pq.read_metadata(path).metadata
        facts.pop(b"ARROW:schema")
        pq.write_table(kept.replace_schema_metadata(facts), path, store_schema=True, write_page_checksum=True)
    elif kind == "jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            del row["event_text"]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with path.open(newline="") as file:
            cells = list(csv.reader(file))
        assert cells[0][-1] == "event_text"
        lines = [
            ",".join('"' + cell.replace('"', '""') + '"' if cell else "" for cell in row[:-1])
            for row in cells
        ]
        path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("kind", FILES)
def test_files_of_a_release_that_had_no_words_are_read_and_continued(
    events: pa.Table, sql: Sql, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert extract(f"{kind}:{tmp_path}") == 0
    forget(tmp_path, kind)
    found = sql("select event_text, count(*) as n from contract_events group by 1", "--data", tmp_path)
    assert found == [{"event_text": None, "n": events.num_rows}]
    rows = pa.table(sa.scan(tmp_path, table="contract_events"))
    assert (rows.num_rows, rows["event_text"].null_count) == (events.num_rows, events.num_rows)
    for command in (["check", str(tmp_path)], ["coverage", str(tmp_path), "--verify"]):
        assert invoke(command) == 0, capsys.readouterr()
    assert extract(f"{kind}:{tmp_path}") == 0  # nothing to do, and no other table
