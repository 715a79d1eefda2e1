"""Lines that were compressed after they were written: for good, under a name of their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from stellarrow.sinks.files.formats import Format
from stellarrow.sinks.files.formats.csv import Csv
from stellarrow.sinks.files.formats.jsonl import JsonLines
from stellarrow.sinks.files.formats.text import ZSTD
from stellarrow.sinks.files.manifest import KeptFile
from stellarrow.sinks.files.range_writer import Shape


def packed(format: Format) -> Format:
    """Return the format of lines that compresses what was written before."""
    kind = Csv if format.name == Csv.name else JsonLines
    return kind(ZSTD, is_packed=True)


def as_packed_as(files: Iterable[KeptFile], shape: Shape) -> Shape:
    """Return the shape of what is made of files: compressed where one of them was."""
    later = tuple(shape.format.suffixes[1:])
    if later and any(kept.path.endswith(later) for kept in files):
        return replace(shape, format=packed(shape.format))
    return shape
