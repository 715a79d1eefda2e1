"""Ledgers asked for by time, wherever they are; those of the fixture close every 5 s from 22:13:20."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from fakes.raw_ledgers import RawLedgers, serving
from fakes.rpc import RpcNode
from fakes.web import web

Run = Callable[..., Any]
MINUTE = "2023-11-14T22:14:00Z:+1m"  # 108 to 119
ALL = "100:139"


def extracted(stellarrow: Run, source: object, ledgers: str, out: Path) -> str:
    done = stellarrow(
        *("extract", source, "--ledgers", ledgers, "--tables", "ledgers", "--network", "synthetic"),
        *("--to", f"parquet:{out}", "--json"),
    )
    return str(json.loads(done.out)["ranges"]) if done.code == 0 else f"{done.code} {done.err}"


@pytest.mark.parametrize(
    ("asked", "ranges"),
    [
        (MINUTE, "108:119"),
        ("2023-11-14", ALL),
        ("2023-11-14:2023-11-15", ALL),
        ("2023-11-01:2024-07-01", ALL),
        ("2023-11-14T22:16:31Z:2023-11-14T22:16:40Z", "139"),
        (":2023-11-14T22:13:25Z", "100:101"),
        ("2023-11-14T22:16:30Z:latest", "138:139"),
    ],
)
def test_folders_lakes_and_files_are_asked_by_time(
    stellarrow: Run,
    make_lake: Callable[..., Path],
    asked: str,
    ranges: str,
    tmp_path: Path,
) -> None:
    lake, file = make_lake(), tmp_path / "all.xdr"
    file.write_bytes(sa.synth(40, 20, first=100, ledger_bytes=4_096))
    for number, source in enumerate((lake, f"file://{lake}", file)):
        assert extracted(stellarrow, source, asked, tmp_path / f"out{number}") == ranges


def test_a_lake_of_many_ledgers_a_file_is_asked_by_time(
    stellarrow: Run, make_lake: Callable[..., Path], tmp_path: Path
) -> None:
    stellarrow(
        *("lake", "write", make_lake(), "--to", tmp_path / "packed", "--ledgers-per-file", 8),
        *("--ledgers", "2023-11-14T22:13:40Z:latest"),
    )
    assert sorted(int(path.name.split("-")[2]) for path in (tmp_path / "packed").rglob("*.zst")) == [
        *(104, 112, 120, 128),
    ]
    assert extracted(stellarrow, f"file://{tmp_path}/packed", MINUTE, tmp_path / "out") == "108:119"


def test_an_rpc_is_asked_by_time_with_few_calls(stellarrow: Run, rpc: RpcNode, tmp_path: Path) -> None:
    assert extracted(stellarrow, f"rpc+{rpc.url}", MINUTE, tmp_path / "out") == "108:119"
    assert rpc.methods().count("getLedgers") <= 20


@pytest.mark.parametrize("packed", [1, 8])
def test_a_lake_that_lists_nothing_is_searched_from_the_beginning_of_its_chain(
    stellarrow: Run, tmp_path: Path, packed: int
) -> None:
    (tmp_path / "all.xdr").write_bytes(sa.synth(94, 20, first=2, ledger_bytes=4_096))
    line = ("lake", "write", tmp_path / "all.xdr", "--network", "synthetic", "--ledgers-per-file", packed)
    assert stellarrow(*line, "--to", tmp_path / "lake").code == 0
    with web(tmp_path / "lake") as (url, asked):
        assert extracted(stellarrow, url, MINUTE, tmp_path / "out") == "10:21"
        assert extracted(stellarrow, url, "2023-11-14", tmp_path / "all") == "2:95"
    assert len(asked) < 2 * (94 / packed) + 60


def test_a_range_that_holds_nothing_says_where_the_source_begins_or_ends(
    stellarrow: Run, make_lake: Callable[..., Path], tmp_path: Path
) -> None:
    lake = make_lake()
    early = extracted(stellarrow, f"file://{lake}", "2023-11-13", tmp_path / "out")
    assert early.startswith("1 ")
    assert "begins with ledger 100, which closed at 2023-11-14T22:13:20Z" in early
    late = extracted(stellarrow, f"file://{lake}", "2023-11-15:", tmp_path / "out")
    assert "its newest, 139, closed at 2023-11-14T22:16:35Z" in late
    assert not (tmp_path / "out").exists()


def test_a_service_that_does_not_tell_what_it_has_is_asked_by_number(
    stellarrow: Run, tmp_path: Path, ledgers: tuple[bytes, ...]
) -> None:
    with serving(RawLedgers(ledgers)) as port:
        told = extracted(stellarrow, f"grpc://127.0.0.1:{port}", MINUTE, tmp_path / "out")
    assert told.startswith("2 ")
    assert "name the ledgers you want" in told


def test_what_was_extracted_is_asked_by_time(
    stellarrow: Run, make_lake: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for kind in ("parquet", "jsonl"):
        done = stellarrow(
            *("extract", make_lake(name=kind), "--tables", "ledgers,contract_events"),
            *("--to", f"{kind}:{out}-{kind}"),
        )
        assert done.code == 0
        for table in ("ledgers", "contract_events"):
            rows = pa.table(sa.scan(f"{out}-{kind}", table=table, ledgers=MINUTE))
            assert set(rows["ledger_sequence"].to_pylist()) <= set(range(108, 120))
            assert rows.num_rows
        answer = json.loads(
            stellarrow("coverage", f"{kind}:{out}-{kind}", "--ledgers", "2023-11-14T22:14:00Z:", "--json").out
        )
        assert answer["wanted"] == "108:139"


def test_a_lake_is_checked_by_time(stellarrow: Run, make_lake: Callable[..., Path]) -> None:
    lake = make_lake()
    done = stellarrow("lake", "check", lake, "--ledgers", MINUTE, "--json")
    assert json.loads(done.out)["ledgers"] == 12
    next(lake.rglob("*--110.xdr.zst")).unlink()
    done = stellarrow("lake", "check", lake, "--ledgers", MINUTE, "--json")
    assert (done.code, json.loads(done.out)["ledgers"]) == (1, 11)


@pytest.mark.parametrize(
    "asked",
    [
        {"ledgers": MINUTE},
        {"start": datetime(2023, 11, 14, 22, 14), "end": datetime(2023, 11, 14, 22, 14, 59, tzinfo=UTC)},
        {"start": 108, "end": datetime(2023, 11, 14, 22, 14, 59)},
    ],
)
def test_python_asks_by_time(make_lake: Callable[..., Path], asked: dict[str, Any]) -> None:
    rows = pa.table(sa.scan(make_lake(), table="ledgers", **asked))
    assert rows["ledger_sequence"].to_pylist() == list(range(108, 120))


def test_python_takes_days_and_refuses_other_texts_as_ends(
    make_lake: Callable[..., Path], tmp_path: Path
) -> None:
    lake = make_lake()
    day = date(2023, 11, 14)
    assert pa.table(sa.scan(lake, table="ledgers", start=day, end=day)).num_rows == 40
    with pytest.raises(sa.ConfigError, match="start is '5'"):
        sa.scan(lake, table="ledgers", start="5")
    report = sa.run(lake, tables=["ledgers"], sinks=[f"parquet:{tmp_path}/out"], ledgers=MINUTE)
    assert str(report.ranges) == "108:119"


def test_where_a_source_begins_within_a_range_is_said_once(
    stellarrow: Run, make_lake: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert extracted(stellarrow, make_lake(), "2023-11-14:+1d", tmp_path / "out") == ALL
    begins = [one for one in caplog.messages if "begins with ledger 100" in one]
    assert len(begins) == 1
