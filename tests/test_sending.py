"""Scans and decoders are descriptions: another process makes the same of them, or is told why not."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from stellarrow.sources.files import FileSource

Make = Callable[..., Path]


def sent(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301  our own


@pytest.mark.parametrize("place", ["lake", "folder"])
def test_a_scan_that_is_sent_has_the_same_rows(make_lake: Make, tmp_path: Path, place: str) -> None:
    source = make_lake()
    if place == "folder":
        sa.run(source, tables=["contract_events"], sinks=f"parquet:{tmp_path}/out")
        source = tmp_path / "out"
    scan = sa.scan(
        source, table="contract_events", start=101, where="ledger_sequence < 105", columns=["contract_id"]
    )
    assert sent(scan).to_table() == scan.to_table() == copy.deepcopy(scan).to_table()


def test_a_decoder_that_is_sent_makes_the_same_rows(make_lake: Make) -> None:
    decoder = sa.Decoder(["ledgers"], network="synthetic", where="ledger_sequence = 101", keeps_counted=True)
    (chunk,) = FileSource(make_lake()).read(sa.LedgerRange(101, 101))
    assert sent(decoder)(sent(chunk)).tables == decoder(chunk).tables


def test_what_is_open_here_cannot_be_sent_and_says_what_to_do(make_lake: Make) -> None:
    scan = sa.scan(FileSource(make_lake()), table="ledgers")
    for opened in (scan, sa.scan("-", table="ledgers", network="synthetic")):
        with pytest.raises(TypeError, match="send the arguments"):
            pickle.dumps(opened)
    assert copy.copy(scan).to_table() == scan.to_table()


def test_typed_tables_cannot_be_sent_and_say_what_to_do(make_lake: Make) -> None:
    contract = sa.scan(source := make_lake(), table="contract_data").head(1)["contract_id"][0].as_py()
    tables = sa.typed(contract, source, spec="stellar-asset")
    for one in (tables, tables["events/transfer"]):
        with pytest.raises(TypeError, match="typed there"):
            pickle.dumps(one)
