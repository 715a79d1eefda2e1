"""CSV files in a folder or an object store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from stellarrow.sinks.files.formats.csv import Csv
from stellarrow.sinks.files.sink import FileSink
from stellarrow.storage.files import FileStore


class CsvSink(FileSink):
    """Keep tables as CSV; `codec` is none, gzip, zstd, lz4 or brotli, the rest as FileSink takes it."""

    def __init__(
        self,
        place: str | os.PathLike[str] | FileStore,
        tables: Sequence[str],
        *,
        codec: str | None = None,
        **choices: Any,
    ) -> None:
        super().__init__(place, tables, format=Csv(codec), **choices)
