from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from stellarrow.core.framing import frame

Run = Callable[..., Any]


def facts(out: str) -> dict[str, str]:
    rows = [line.split("  ", 1) for line in out.splitlines()[1:] if not line.startswith(" ")]
    return {name: answer.strip() for name, answer in rows}


def test_a_real_ledger_is_told(stellarrow: Run) -> None:
    path = files("stellarrow") / "data" / "ledgers" / "FCD285FF--53312000.xdr.zstd"
    done = stellarrow("inspect", path)
    answer = facts(done.out)
    assert (done.code, done.err) == (0, "")
    assert answer["ledgers"] == "53312000"
    assert answer["protocol"].startswith("21, meta V")
    assert answer["network"] == "pubnet"
    assert answer["transactions"].startswith("163, ")
    assert answer["stored"].startswith("72.7 KB, batch")


def test_the_network_is_found_by_its_proof(
    stellarrow: Run, tmp_path: Path, ledgers: tuple[bytes, ...]
) -> None:
    path = tmp_path / "some.xdr.zst"
    path.write_bytes(frame(ledgers, "record-marked", compression_level=1))
    answer = facts(stellarrow("inspect", path).out)
    assert answer["network"] == "synthetic"
    assert answer["ledgers"] == "40, from 100 to 139"
    assert answer["events"]


def test_a_network_nobody_knows_must_be_named(stellarrow: Run, shared: Path) -> None:
    path = shared / "data" / "ledgers" / "load-v23.xdr.zstd"
    done = stellarrow("inspect", path)
    assert (done.code, "give --network" in done.err) == (2, True)
    assert stellarrow("inspect", path, "--network", "Standalone Network ; February 2017").code == 0


@pytest.mark.parametrize(("content", "word"), [(b"", "is empty"), (b"\x00" * 99, "none of batch")])
def test_what_is_no_ledger_is_one_line(stellarrow: Run, tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)
    done = stellarrow("inspect", path)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert word in done.err
