"""What is old enough and is not compressed yet is told with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sinks.postgres.made import batch
from sinks.test_amounts_elsewhere import transfer
from stellarrow.cli import invoke
from stellarrow.sinks.files.reading import format_of
from stellarrow.sinks.files.sink import FileSink

WAITS = "1 range waits to be compressed: ledgers 0 to 9999 become one file"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Ledger 100 of a table, which closed long ago."""
    sink = FileSink(tmp_path / "data", ["token_transfers"], format=format_of("parquet"), network="pubnet")
    sink.write(batch(100, 100, [transfer(100, 0, 7)], "token_transfers"))
    sink.commit()
    sink.close()
    return tmp_path / "data"


@pytest.mark.parametrize("verb", ["plan", "run", "status"])
def test_a_range_that_waits_for_its_neighbours_is_told(
    place: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    asked = ["lifecycle", verb, str(place), "--parquet-policy", "compress 1d"]
    assert invoke(asked) == 0
    assert WAITS in capsys.readouterr().out
    assert invoke([*asked, "--json"]) == 0
    assert WAITS in json.dumps(json.loads(capsys.readouterr().out))


def test_a_moment_that_has_passed_is_not_called_the_next(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["lifecycle", "status", str(place), "--parquet-policy", "archive 1d"]) == 1
    said = capsys.readouterr().out
    assert ("the oldest is due since 2026-01-02T00:00:00Z" in said, "the next is due" in said) == (
        True,
        False,
    )


def test_what_hinders_every_range_is_told_once(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = FileSink(place, ["token_transfers"], format=format_of("parquet"), network="pubnet")
    for ledger in (101, 102):
        more.write(batch(ledger, ledger, [transfer(ledger, 0, 7)], "token_transfers"))
        more.commit()
    more.close()
    (tmp_path / "file").write_text("no folder")
    archive = tmp_path / "file" / "archive"
    asked = ["lifecycle", "run", str(place), "--parquet-policy", "archive 1d", "--archive", str(archive)]
    assert invoke(asked) == 1
    said = capsys.readouterr()
    assert (said.out + said.err).count("run the same again") == 1
