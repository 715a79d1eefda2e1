"""Rows of a query, drawn, printed or written, without losing a digit."""

from __future__ import annotations

import csv
import json
import os
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
from stellarrow.cli.output.page import Page
from stellarrow.errors import ConfigError, SinkError
from stellarrow.net.printable import one_line
from stellarrow.sql import parquet_amounts
from stellarrow.storage.atomic import written_aside

_SHOWN: Final = 100  # rows of a table on the screen; --csv and --json print all
_WIDTH: Final = 200  # characters where the output is no terminal
_INDENT: Final = "    "
_NARROW: Final = 10  # characters a column of text needs to say anything
_UNKNOWN_WIDTH: Final = 80  # of a terminal that does not tell its width
_ID: Final = re.compile(r"[GCMBLTXP][A-Z2-7]{55,}|[0-9a-f]{64}")  # strkeys and hashes
_QUOTED: Final = re.compile(r'[",\r\n]')  # what a field of CSV cannot hold bare
_ENDINGS: Final = (".parquet", ".csv", ".jsonl", ".json")


def show(rows: pa.RecordBatchReader, *, expanded: bool = False) -> None:
    """Draw the first rows, one line each, or row by row where that is asked for.

    On a terminal long values are cut with `…`; elsewhere all are whole, row by row where a line is too long.
    """
    width = _terminal_width()
    console = Page(width=width or _WIDTH, highlight=False)
    shown, total = [], 0
    for row in _each(rows):
        total += 1
        if total <= _SHOWN:
            shown.append([*map(_text, row)])
    whole = shown
    if width and not expanded:
        shown = [[_short(one_line(value)) for value in row] for row in whole]
    is_too_long = not width and shown and _natural_width(rows.schema, shown) > _WIDTH
    if expanded or is_too_long:
        _show_one_by_one(rows.schema.names, shown, console, on_terminal=bool(width))
    else:
        _show_lines(rows.schema, shown, console, is_cut=bool(width) and _has_ids(whole))
    if total > _SHOWN:
        console.print(f"{_SHOWN} of {formatting.count(total)} rows; --csv or --json prints all, --out writes")


def _terminal_width() -> int | None:
    """Return the real width of the terminal that is written to, None where it is none."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or _UNKNOWN_WIDTH
    except (OSError, ValueError):
        return None


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


def _show_lines(schema: pa.Schema, shown: list[list[str]], console: Console, *, is_cut: bool) -> None:
    numbers = [_is_number(column.type) for column in schema]
    widths = fitted(schema.names, shown, numbers, console.width)
    drawn = Table()
    for column, number, width in zip(schema, numbers, widths, strict=False):
        drawn.add_column(
            Text(shortened(column.name, width)),
            justify="right" if number else "left",
            no_wrap=True,
            width=width,
            overflow="ellipsis",
        )
    for row in shown:
        drawn.add_row(*(Text(shortened(cell, width)) for cell, width in zip(row, widths, strict=False)))
    console.print(drawn)
    if hidden := schema.names[len(widths) :]:
        many = f"{len(hidden)} more column{'s' if len(hidden) > 1 else ''}"
        text = f"--expanded shows {many}: {', '.join(hidden)}"
        console.print(Text(shortened(text, console.width)))
    elif is_cut or any(len(cell) > width for row in shown for cell, width in zip(row, widths, strict=True)):
        console.print(Text("--expanded shows values whole", style="dim"))


def _natural_width(schema: pa.Schema, shown: list[list[str]]) -> int:
    return 1 + sum(
        3 + max(len(column.name), *(len(row[at]) for row in shown)) for at, column in enumerate(schema)
    )


def fitted(
    names: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[bool], width: int
) -> list[int]:
    """Return the widths of the first columns that fit into a line; numbers are never cut.

    What room is left goes to the columns that lack most, evenly.
    """
    widest = [max([len(name), *(len(row[at]) for row in rows)]) for at, name in enumerate(names)]
    values = [max([1, *(len(row[at]) for row in rows)]) for at in range(len(names))]
    least = [
        max(values[at], min(widest[at], _NARROW)) if number else min(widest[at], _NARROW)
        for at, number in enumerate(numbers)
    ]
    room, count = width - 1, 0
    while count < len(names) and room >= least[count] + 3:
        room -= least[count] + 3
        count += 1
    if not count:
        return [max(1, width - 4)][: len(names)]
    found = least[:count]
    while room > 0 and (short := [at for at in range(count) if found[at] < widest[at]]):
        for at in sorted(short, key=lambda at: found[at])[:room]:
            found[at] += 1
            room -= 1
    return found


def shortened(text: str, width: int) -> str:
    """Cut a text that is too long: an id in its middle, for its ends tell it apart, any other at its end."""
    if len(text) <= width:
        return text
    if _ID.fullmatch(text) and width >= _NARROW:
        tail = (width - 1) // 2
        return f"{text[: width - 1 - tail]}…{text[-tail:]}"
    return f"{text[: width - 1]}…"


def _has_ids(rows: Iterable[Sequence[str]]) -> bool:
    return any(_ID.fullmatch(cell) for row in rows for cell in row)


def _short(text: str) -> str:
    """Shorten an id, whose ends tell it apart."""
    return formatting.address(text) if _ID.fullmatch(text) else text


def _show_one_by_one(
    names: list[str], shown: list[list[str]], console: Console, *, on_terminal: bool
) -> None:
    indent = max(map(len, names)) + 2
    for number, row in enumerate(shown, 1):
        console.print(Text(f"row {number} ".ljust(min(console.width, _WIDTH), "-"), style="dim"))
        for name, value in zip(names, row, strict=True):
            room = max(1, console.width - indent) if on_terminal else None
            console.print(_pair(f"{name:<{indent}}", one_line(value), room), soft_wrap=True)


def _pair(name: str, value: str, room: int | None) -> Text:
    """Put a value behind its name; where there is little room, fold it, so that no line is too wide."""
    parts = [value[at : at + room] for at in range(0, len(value), room)] if room else [value]
    return Text(name, style="bold").append(("\n" + " " * len(name)).join(parts), style="not bold")


def write(rows: pa.RecordBatchReader, path: Path) -> int:
    """Write all rows to a file of the kind its name ends in, whole or not at all; return how many."""
    if path.suffix not in _ENDINGS:
        raise ConfigError(f"{path} is no kind of file: end it in one of {', '.join(_ENDINGS)}")
    try:
        with written_aside(path) as aside:
            written = _write(rows, aside, path.suffix)
    except OSError as error:
        raise SinkError(f"cannot write to {path} ({error.strerror}): choose another place") from error
    return written


def _write(rows: pa.RecordBatchReader, path: Path, ending: str) -> int:
    if ending != ".parquet":
        with path.open("w", newline="", encoding="utf-8") as file:
            return write_csv(rows, file) if ending == ".csv" else write_json(rows, file)
    written = 0
    with pq.ParquetWriter(path, rows.schema, compression="zstd") as writer:
        for batch in rows:
            writer.write_batch(parquet_amounts.kept(batch))
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
        return formatting.instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return json.dumps(_plain(value)) if isinstance(value, list | dict) else str(value)
