from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from stellarrow.cli.commands.synth import lake_path, write_lake
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import Network

Run = Callable[..., Any]
Lake = Callable[..., Path]
TABLES = ["--tables", "ledgers,contract_data"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def damaged(make_lake: Lake, ledgers: tuple[bytes, ...]) -> Path:
    """A lake whose ledger 110 is bad."""
    lake = make_lake()
    bad = ledgers[10][:60] + b"\xff" + ledgers[10][61:]
    (lake / lake_path(110)).write_bytes(frame([bad], "batch", compression_level=1))
    return lake


def held(folder: str = "stellarrow-data") -> list[int]:
    return sorted(pq.read_table(f"{folder}/ledgers").column("ledger_sequence").to_pylist())


def quarantine(stellarrow: Run, lake: Path, *more: object) -> Any:
    return stellarrow("extract", lake, *TABLES, "--on-error", "quarantine", *more)


def unsigned(path: Path) -> dict[str, Any]:
    """Return a letter as the first format has it, which may be changed by hand."""
    letter: dict[str, Any] = json.loads(path.read_text())
    del letter["format"], letter["checksum"]
    return letter


def mended(ledgers: tuple[bytes, ...]) -> None:
    """Let the one letter there is hold good bytes, as if the decoder had learned to read them."""
    import hashlib  # noqa: PLC0415

    (path,) = Path("stellarrow-state/dead-letters").glob("*.json")
    letter = unsigned(path)
    data = frame([ledgers[10]], "batch")
    path.with_suffix(".xdr").write_bytes(data)
    path.write_text(json.dumps({**letter, "framing": "batch", "sha256": hashlib.sha256(data).hexdigest()}))


def test_stop_is_the_default_and_leaves_all_before_durable(stellarrow: Run, damaged: Path) -> None:
    done = stellarrow("extract", damaged, *TABLES)
    assert (done.code, "110.xdr.zst: ledger 110" in done.err) == (1, True)
    assert held() == list(range(100, 110))
    assert not Path("stellarrow-state").exists()


def test_quarantine_goes_on_and_retry_closes_the_gap(
    stellarrow: Run, damaged: Path, ledgers: tuple[bytes, ...]
) -> None:
    done = quarantine(stellarrow, damaged)
    assert done.code == 0
    assert "quarantined: 1 ledger (110), see stellarrow dlq list" in done.out
    assert held() == [*range(100, 110), *range(111, 140)]
    failed = stellarrow("dlq", "retry")
    assert (failed.code, "still failing: 110: " in failed.out) == (1, True)
    mended(ledgers)
    assert stellarrow("dlq", "retry", "110").out == "1 of 1 letter closed\n"
    assert held() == list(range(100, 140))
    assert stellarrow("dlq", "list", "--json").out == "[]\n"


def test_an_extract_that_succeeds_later_closes_its_letters(
    stellarrow: Run, damaged: Path, ledgers: tuple[bytes, ...]
) -> None:
    quarantine(stellarrow, damaged)
    again = quarantine(stellarrow, damaged)
    assert again.out.startswith("nothing new, 39 ledgers already there\nquarantined: 1 ledger (110)")
    (damaged / lake_path(110)).write_bytes(frame([ledgers[10]], "batch", compression_level=1))
    assert stellarrow("extract", damaged, *TABLES).code == 0
    assert stellarrow("dlq", "list").out.startswith("no ledger was quarantined in ")
    assert held() == list(range(100, 140))


def test_a_letter_tells_what_was_wrong_and_where(stellarrow: Run, damaged: Path) -> None:
    quarantine(stellarrow, damaged)
    listed = stellarrow("dlq", "list").out
    assert "110" in listed
    assert "1 ledger in stellarrow-state/dead-letters: stellarrow dlq retry" in listed
    shown = " ".join(stellarrow("dlq", "show", "110").out.split())
    for answer in ("DecodeError", "v1.ledger_header.hash at byte", "110.xdr.zst", "ledgers, contract_data"):
        assert answer in shown
    (letter,) = json.loads(stellarrow("dlq", "show", "110", "--json").out)
    assert (letter["ledger"], letter["kind"]) == (110, "DecodeError")
    assert letter["job"]["to"] == ["parquet:./stellarrow-data"]


def test_a_letter_can_go_elsewhere_or_be_dropped(
    stellarrow: Run,
    damaged: Path,
    ledgers: tuple[bytes, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quarantine(stellarrow, damaged)
    mended(ledgers)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    state = ["--state-dir", "../stellarrow-state"]
    refused = stellarrow("dlq", "retry", *state)
    assert (refused.code, "retry it there" in refused.out) == (1, True)
    assert stellarrow("dlq", "retry", "--to", "parquet:here", *state).code == 0
    assert held("here") == [110]
    monkeypatch.chdir(tmp_path)
    quarantine(stellarrow, damaged)
    assert stellarrow("dlq", "drop", "100:120", "--json").out == '{"dropped": ["110"]}\n'
    missing = stellarrow("dlq", "drop", "110")
    assert (missing.code, "there is none at all" in missing.err) == (2, True)


def test_a_password_is_not_kept(stellarrow: Run, damaged: Path) -> None:
    quarantine(stellarrow, damaged)
    (path,) = Path("stellarrow-state/dead-letters").glob("*.json")
    letter = unsigned(path)
    letter["job"]["to"] = ["postgres://me:********@h/db"]
    path.write_text(json.dumps(letter))
    done = stellarrow("dlq", "retry")
    assert (done.code, "name the sink with --to" in done.out) == (1, True)


def test_a_poison_ledger_among_ten_thousand_is_retried_later(
    stellarrow: Run, tmp_path: Path, ledgers: tuple[bytes, ...]
) -> None:
    made = list(islice(synthetic(20, first=100, ledger_bytes=4_096), 10_000))
    assert made[10] == ledgers[10]
    made[10] = made[10][:60] + b"\xff" + made[10][61:]
    source = tmp_path / "ledgers.xdr"
    source.write_bytes(frame(made, "record-marked"))
    done = quarantine(stellarrow, source, "--network", "synthetic", "--json")
    answer = json.loads(done.out)
    assert (answer["ledgers"], answer["quarantined"]) == (9_999, "110")
    mended(ledgers)
    assert stellarrow("dlq", "retry").code == 0
    assert held() == list(range(100, 10_100))


def test_letters_are_kept_where_the_settings_say(
    stellarrow: Run, damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIR", "elsewhere")
    quarantine(stellarrow, damaged)
    assert len(list(Path("elsewhere/dead-letters").glob("*.json"))) == 1
    assert len(json.loads(stellarrow("dlq", "list", "--json").out)) == 1


def test_a_lake_written_by_synth_has_no_letters(stellarrow: Run, tmp_path: Path) -> None:
    write_lake(tmp_path / "lake", islice(synthetic(20), 3), first=2, network=Network.of("synthetic"))
    assert quarantine(stellarrow, tmp_path / "lake").code == 0
    assert not Path("stellarrow-state").exists()
