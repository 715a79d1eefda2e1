"""Tables and their columns as commands; times, ids and JSON alike everywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pytest

import stellarrow as sa
from stellarrow.cli.app import stellarrow as program
from stellarrow.cli.output import progress_figures, result_table
from stellarrow.cli.query import prompt
from stellarrow.cli.query.database import Database
from stellarrow.pipeline.loop import Progress

Run = Callable[..., Any]
Make = Callable[..., Path]
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?:[^\s\"'),│]*| UTC)?")
ONE_FORMAT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
# Commands that serve until they are stopped, watch, or print a script or a show.
PRINTS_NO_RESULT = {"completion", "demo", "watch", "up", "source serve", "processor serve", "analytics serve"}
PRINTS_NO_RESULT |= {"sink postgres serve", "sink serve", "config convert"}


def test_every_table_is_listed_with_its_versions(stellarrow: Run) -> None:
    drawn = stellarrow("tables").out
    assert all(one.name in drawn for one in sa.tables())
    assert re.search(r"contract_data +1\.0, 2\.0 +A change", drawn) or "1.0, 2.0" in drawn
    told = json.loads(stellarrow("tables", "--json").out)
    assert [(one["name"], one["version"]) for one in told] == [(one.name, one.version) for one in sa.tables()]


def test_a_schema_shows_columns_types_and_meaning(stellarrow: Run) -> None:
    done = stellarrow("schema", "contract_events", "--json")
    told = json.loads(done.out)
    columns = {one["name"]: one for one in told["columns"]}
    assert list(columns) == sa.schema("contract_events", decoded=True).names
    assert told["keys"] == sa.keys("contract_events")
    assert columns["ledger_sequence"] == {
        "name": "ledger_sequence",
        "type": "uint32",
        "nullable": False,
        "on_request": False,
        "description": "Sequence number of the ledger.",
    }
    assert columns["data_json"]["on_request"]
    assert all(one["description"] for one in columns.values())
    drawn = stellarrow("schema", "contract_data@1.0").out
    assert "contract_data@1.0" in drawn
    assert "a row is unique by" in drawn
    wrong = stellarrow("schema", "contract_event")
    assert (wrong.code, wrong.out) == (2, "")
    assert "did you mean 'contract_events'" in wrong.err


def commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found
        if isinstance(found, click.Group):
            yield from commands(found, f"{before}{name} ")
        else:
            yield f"{before}{name}", found


def test_every_command_that_prints_results_speaks_json() -> None:
    found = dict(commands(program))
    silent = {
        name
        for name, one in found.items()
        if not any("--json" in option.opts for option in one.params) and name not in PRINTS_NO_RESULT
    }
    assert silent == set()
    assert {*found} >= PRINTS_NO_RESULT


def test_results_as_json_hold_what_people_are_told(stellarrow: Run, tmp_path: Path, make_lake: Make) -> None:
    made = stellarrow("synth", "--ledgers", 3, "--first", 7, "--out", tmp_path / "a.xdr.zst", "--json")
    told = json.loads(made.out)
    assert (told["first"], told["last"], told["ledgers"]) == (7, 9, 3)
    assert told["stored_bytes"] == (tmp_path / "a.xdr.zst").stat().st_size
    seen = json.loads(stellarrow("inspect", tmp_path / "a.xdr.zst", "--json").out)
    assert (seen["first"], seen["last"], seen["sorted"], seen["held"]) == (7, 9, True, None)
    assert seen["rows"]["ledgers"] == 3
    assert ONE_FORMAT.fullmatch(seen["closed_at"])
    lake = json.loads(stellarrow("inspect", make_lake(), "--json").out)
    assert (lake["held"], lake["ledgers"]) == ("100:139", 40)
    stellarrow("extract", make_lake(), "--tables", "ledgers", "--to", f"parquet:{tmp_path}/out")
    assert json.loads(stellarrow("compact", tmp_path / "out", "--json").out) == {"merged": 0}


def test_times_are_written_alike_everywhere(stellarrow: Run, tmp_path: Path, make_lake: Make) -> None:
    lake, out = make_lake(), tmp_path / "out"
    stellarrow("extract", lake, "--tables", "all", "--to", f"parquet:{out}", "--to", f"csv:{tmp_path}/csv")
    lines = ["select closed_at from ledgers limit 3"]
    told = [
        *(stellarrow("inspect", lake).out, stellarrow("inspect", lake, "--json").out),
        *(stellarrow("coverage", out).out, stellarrow("coverage", out, "--json").out),
        *(stellarrow("sql", *lines, "--data", out, *how).out for how in ([], ["--json"], ["--csv"])),
        next((tmp_path / "csv" / "ledgers").glob("*.csv")).read_text(),
    ]
    for text in told:
        times = TIME.findall(text)
        assert times, text
        assert [one for one in times if not ONE_FORMAT.fullmatch(one)] == [], text


def test_every_table_says_when_its_last_ledger_closed(
    stellarrow: Run, tmp_path: Path, make_lake: Make
) -> None:
    lake, out = make_lake(), tmp_path / "out"
    stellarrow("extract", lake, "--tables", "all", "--to", f"parquet:{out}")
    told = json.loads(stellarrow("coverage", out, "--json").out)["tables"]
    closed = sa.scan(lake, table="ledgers", start=139).to_table()["closed_at"][0].as_py()
    written = closed.isoformat().replace("+00:00", "Z")
    assert len(told) > 5
    assert {one["table"]: one["last_closed_at"] for one in told} == {one["table"]: written for one in told}
    # Without the table that has a row of every ledger, the latest row of any says it.
    few = tmp_path / "few"
    stellarrow("extract", lake, "--tables", "evictions,contract_events", "--to", f"parquet:{few}")
    told = json.loads(stellarrow("coverage", few, "--json").out)["tables"]
    assert len({one["last_closed_at"] for one in told}) == 1
    assert told[0]["last_closed_at"]


IDS = ("C" + "A" * 55, "ab" * 32)


def test_ids_are_short_on_a_terminal_and_whole_where_they_are_piped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = pa.table({"contract": [IDS[0]], "hash": [IDS[1]], "text": ["CAAA not an id"]})
    monkeypatch.setattr(result_table, "_terminal_width", lambda: 200)
    result_table.show(rows.to_reader())
    drawn = capsys.readouterr().out
    assert all(f"{one[:4]}…{one[-4:]}" in drawn for one in IDS)
    assert not any(one in drawn for one in IDS)
    assert "CAAA not an id" in drawn
    assert "--expanded shows values whole" in drawn
    for width, expanded in ((None, False), (200, True)):
        monkeypatch.setattr(result_table, "_terminal_width", lambda width=width: width)
        result_table.show(rows.to_reader(), expanded=expanded)
        drawn = capsys.readouterr().out
        assert all(one in drawn for one in IDS)


def test_progress_is_never_whole_before_the_last_ledger_is_durable() -> None:
    state = Progress(wanted=1_000, skipped=0)
    seen = []
    for ledgers, last, committed in [(0, None, None), (996, 996, 500), (1_000, 1_000, 500)]:
        state.ledgers, state.last, state.committed = ledgers, last, committed
        seen.append(progress_figures.percent(state))
    assert seen == [0, 99, 99]
    state.committed = 1_000
    assert progress_figures.percent(state) == 100
    state.ledgers, state.quarantined = 998, 2
    assert progress_figures.percent(state) == 100


def test_a_run_reports_once_more_when_all_is_durable(make_lake: Make, tmp_path: Path) -> None:
    seen: list[int] = []

    def note(state: Progress) -> None:
        seen.append(progress_figures.percent(state))

    sa.run(make_lake(), tables=["ledgers"], sinks=f"parquet:{tmp_path}/out", progress=note)
    assert seen[-1] == 100
    assert 100 not in seen[:-1]


def test_the_prompt_takes_ready_made_queries_and_schemas(
    stellarrow: Run,
    make_lake: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stellarrow("extract", make_lake(), "--tables", "all", "--to", f"parquet:{tmp_path}/out")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    database = Database(tmp_path / "out")
    typed = iter(
        ["@;", "@busiest-contracts", ".schema ledgers", ".schema legers", "@ ;", "select 7", "as n;"]
    )

    def line(_: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", line)
    capsys.readouterr()
    prompt.ask(database)
    said = capsys.readouterr()
    assert said.out.count("volume-by-asset") == 2
    assert re.search(r"^  ledger_sequence +[A-Z]+$", said.out, re.MULTILINE)
    assert "contract_id" in said.out
    assert re.search(r"│ +7 │", said.out)
    assert said.err.strip() == "error: there is no table 'legers': did you mean ledgers?"
    assert {"@volume-by-asset", ".schema", "ledger_sequence", "ledgers"} <= {*prompt.words(database)}


def test_ready_made_queries_are_listed_without_data(stellarrow: Run, tmp_path: Path) -> None:
    for asked in ("@", "@;", " @ "):
        done = stellarrow("sql", asked, "--data", tmp_path / "nothing", "--json")
        assert (done.code, done.err) == (0, "")
        assert "volume-by-asset" in [json.loads(line)["name"] for line in done.out.splitlines()]


def test_a_moment_is_written_as_ranges_take_it() -> None:
    from stellarrow.cli.output import formatting  # noqa: PLC0415
    from stellarrow.ledgers.dates import is_moment  # noqa: PLC0415

    written = formatting.instant(datetime(2024, 7, 1, 12, tzinfo=UTC))
    assert written == "2024-07-01T12:00:00Z"
    assert is_moment(written.lower())


def test_the_prompt_tells_a_schema_of_postgresql_too(make_lake: Make, database: str) -> None:
    from psycopg import conninfo  # noqa: PLC0415  an extra

    from stellarrow.cli.query.postgres import PostgresDatabase  # noqa: PLC0415

    parts = conninfo.conninfo_to_dict(database)
    url = f"postgres://{parts['user']}@/{parts['dbname']}?host={parts['host']}&port={parts['port']}"
    sa.run(make_lake(), tables=["ledgers"], sinks=url, ledgers="100:104")
    asked = PostgresDatabase(url)
    (name,) = asked.tables()
    assert ("ledger_sequence", "bigint") in asked.schema(name)
    with pytest.raises(sa.ConfigError, match=f"did you mean {name}"):
        asked.schema(name[:-1])
