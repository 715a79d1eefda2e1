"""Columns of a page of any width: cells are whole, what has no room is left out by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.text import Text

GAP: Final = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading and cells, as wide as the widest; texts stand left, numbers right."""

    heading: str
    cells: list[Text]
    is_text: bool = False

    @property
    def width(self) -> int:
        return max([len(self.heading), *(len(cell) for cell in self.cells)])

    def line(self, cell: Text) -> Text:
        space = " " * (self.width - len(cell))
        return cell + space if self.is_text else Text(space) + cell


def width_of(columns: Sequence[Column]) -> int:
    return sum(one.width + GAP for one in columns) - GAP


def fitting(columns: Sequence[Column], width: int, rare: Sequence[str]) -> tuple[list[Column], list[str]]:
    """Return the columns that fit, and the headings left out: the rarest first, in this order."""
    kept, left_out = [*columns], []
    for heading in rare:
        if width_of(kept) <= width:
            break
        kept = [one for one in kept if one.heading != heading]
        left_out.append(heading)
    return kept, left_out


def lines(columns: Sequence[Column]) -> Iterator[Text]:
    """Yield the headings, and a line a row."""
    yield headings(columns)
    for at in range(len(columns[0].cells)):
        yield row([column.line(column.cells[at]) for column in columns])


def headings(columns: Sequence[Column]) -> Text:
    return row([column.line(Text(column.heading, style="bold")) for column in columns])


def row(cells: Sequence[Text]) -> Text:
    line = Text(" " * GAP).join(cells)
    line.rstrip()
    return line
