"""Files of lakehouse tables on their way."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

import stellarrow as sa
from stellarrow.core.framing import frame
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.signed import signed
from stellarrow.sinks.lakehouse.data_file import DataFile
from stellarrow.storage.local_files import LocalFiles


def test_a_file_that_is_given_up_before_its_end_leaves_nothing_and_says_nothing(
    ledgers: tuple[bytes, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    decoder = sa.Decoder(["ledgers"], network="synthetic")
    data = frame(ledgers[:5], "record-marked")
    rows = decoder(sa.LedgerChunk(data, "record-marked", 100, 104, "memory")).tables["ledgers"]
    schema = signed(rows.schema)
    file = DataFile(LocalFiles(tmp_path).create(), schema, Parquet())
    file.write(rows.cast(schema))
    file.discard()
    del file
    gc.collect()
    assert capfd.readouterr().err == "", "Arrow tells on stderr of what it cannot write"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
