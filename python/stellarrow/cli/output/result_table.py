"""Rows of a query, drawn, printed or written, without losing a digit."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stellarrow.cli.output import formatting
from stellarrow.errors import ConfigError, SinkError

_SHOWN: Final = 100  # rows of a table on the screen; --csv and --json print all
_WIDTH: Final = 200  # characters where the output is no terminal
_INDENT: Final = "    "
_NARROW: Final = 10  # characters a column of text needs to say anything
_QUOTED: Final = re.compile(r'[",\r\n]')  # what a field of CSV cannot hold bare
_ENDINGS: Final = (".parquet", ".csv", ".jsonl", ".json")


def show(rows: pa.RecordBatchReader) -> None:
    """Draw the first rows as a table, or row by row where a table would not fit."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    shown, total = [], 0
    for row in _each(rows):
        total += 1
        if total <= _SHOWN:
            shown.append([_text(value) for value in row])
    drawn = _table(rows.schema, shown)
    if shown and _least(rows.schema, shown) > console.width:
        _show_one_by_one(rows.schema.names, shown, console)
    else:
        console.print(drawn)
    if total > _SHOWN:
        console.print(f"{_SHOWN} of {formatting.count(total)} rows; --csv or --json prints all, --out writes")


def bare(columns: Mapping[str, bool], rows: Iterable[Sequence[str]], console: Console) -> None:
    """Print rows without lines, set in, no value cut; columns of numbers, which are true, to the right."""
    lines = [[*columns], *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, columns.values(), strict=True)
        )
        console.print(_INDENT + "  ".join(cells).rstrip(), markup=False, soft_wrap=True)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_floating(kind))


def _table(schema: pa.Schema, shown: list[list[str]]) -> Table:
    table = Table()
    for column in schema:
        number = _is_number(column.type)
        # A number is never cut; a long text is folded.
        table.add_column(
            Text(column.name), justify="right" if number else "left", no_wrap=number, overflow="fold"
        )
    for row in shown:
        table.add_row(*map(Text, row))
    return table


def _least(schema: pa.Schema, shown: list[list[str]]) -> int:
    """Return the width that a table needs to be read."""
    widths = 1
    for at, column in enumerate(schema):
        widest = max(len(column.name), *(len(row[at]) for row in shown))
        widths += 3 + (widest if _is_number(column.type) else min(widest, _NARROW))
    return widths


def _show_one_by_one(names: list[str], shown: list[list[str]], console: Console) -> None:
    for number, row in enumerate(shown, 1):
        console.rule(f"row {number}", align="left", style="dim", characters="-")
        pairs = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        pairs.add_column(style="bold", no_wrap=True)
        pairs.add_column(overflow="fold")
        for name, value in zip(names, row, strict=True):
            pairs.add_row(Text(name), Text(value))
        console.print(pairs)


def write(rows: pa.RecordBatchReader, path: Path) -> int:
    """Write all rows to a file of the kind its name ends in, whole or not at all; return how many."""
    if path.suffix not in _ENDINGS:
        raise ConfigError(f"{path} is no kind of file: end it in one of {', '.join(_ENDINGS)}")
    aside = path.with_name(f".{path.name}.tmp")
    try:
        try:
            written = _write(rows, aside, path.suffix)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise SinkError(f"cannot write to {path} ({error.strerror}): choose another place") from error
    return written


def _write(rows: pa.RecordBatchReader, path: Path, ending: str) -> int:
    if ending != ".parquet":
        with path.open("w", newline="") as file:
            return write_csv(rows, file) if ending == ".csv" else write_json(rows, file)
    written = 0
    with pq.ParquetWriter(path, rows.schema, compression="zstd") as writer:
        for batch in rows:
            writer.write_batch(batch)
            written += batch.num_rows
    return written


def write_json(rows: pa.RecordBatchReader, file: IO[str]) -> int:
    written = 0
    for written, row in enumerate(_each(rows), 1):  # noqa: B007  counted
        file.write(json.dumps(dict(zip(rows.schema.names, map(_plain, row), strict=True))) + "\n")
    return written


def write_csv(rows: pa.RecordBatchReader, file: IO[str]) -> int:
    csv.writer(file, lineterminator="\n").writerow(rows.schema.names)
    written = 0
    for written, row in enumerate(_each(rows), 1):  # noqa: B007  counted
        file.write(",".join(map(_csv_field, row)) + "\n")
    return written


def _csv_field(value: Any) -> str:
    """Write nothing for null, and `""` for a text that is empty."""
    text = _text(value)
    if value is not None and (not text or _QUOTED.search(text)):
        return '"' + text.replace('"', '""') + '"'
    return text


def _each(rows: pa.RecordBatchReader) -> Iterator[tuple[Any, ...]]:
    for batch in rows:
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _plain(value: Any) -> Any:
    """Make a value JSON without losing a digit."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >> 53:
        return str(value)
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value if isinstance(value, int | float | str | None) else _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat(sep=" ").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return json.dumps(_plain(value)) if isinstance(value, list | dict) else str(value)
