"""Files of lakehouse tables on their way."""

from __future__ import annotations

import gc
from tempfile import TemporaryFile
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from stellarrow.core.framing import frame
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.runs import Run
from stellarrow.sinks.files.signed import signed
from stellarrow.sinks.lakehouse.data_file import DataFile


class FileUpload:
    """A file on this machine until it is placed, as that of the Iceberg sink."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115  discard closes it

    def write(self, data: Any) -> int:
        return self._file.write(data)

    def place(self, path: str, *, new: bool = False) -> bool:
        raise NotImplementedError

    def written(self) -> pa.NativeFile:
        raise NotImplementedError

    def discard(self) -> None:
        self._file.close()


def test_a_file_that_is_given_up_before_its_end_says_nothing(
    ledgers: tuple[bytes, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    decoder = sa.Decoder(["ledgers"], network="synthetic")
    data = frame(ledgers[:5], "record-marked")
    rows = decoder(sa.LedgerChunk(data, "record-marked", 100, 104, "memory")).tables["ledgers"]
    schema = signed(rows.schema)
    file = DataFile(FileUpload(), schema, Parquet())
    file.write(Run(schema, [rows.cast(schema)]))
    file.discard()
    del file
    gc.collect()
    assert capfd.readouterr().err == "", "Arrow tells on stderr of what it cannot write"
