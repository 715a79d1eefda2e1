"""Parquet files in a folder or an object store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.sink import FileSink
from stellarrow.storage.files import FileStore


class ParquetSink(FileSink):
    """Keep tables as Parquet; `codec` is zstd, snappy, gzip, lz4, brotli or none, the rest is FileSink's."""

    def __init__(
        self,
        place: str | os.PathLike[str] | FileStore,
        tables: Sequence[str],
        *,
        codec: str | None = None,
        **choices: Any,
    ) -> None:
        super().__init__(place, tables, format=Parquet(codec), **choices)
