"""JSON lines in a folder or an object store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from stellarrow.sinks.files.formats.jsonl import JsonLines
from stellarrow.sinks.files.sink import FileSink
from stellarrow.storage.files import FileStore


class JsonLinesSink(FileSink):
    """Keep tables as JSON lines; `codec` is none, gzip, zstd, lz4 or brotli, the rest is FileSink's."""

    def __init__(
        self,
        place: str | os.PathLike[str] | FileStore,
        tables: Sequence[str],
        *,
        codec: str | None = None,
        **choices: Any,
    ) -> None:
        super().__init__(place, tables, format=JsonLines(codec), **choices)
