"""A bar that shows which part of a range of ledgers is there."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.text import Text

from stellarrow.ledgers import LedgerRange, LedgerSet

_WIDEST: Final = 100  # cells
_NAME: Final = 32  # cells for a table's name at most
# Cells that are empty, nearly empty … full, and in what colour; a full cell lacks nothing.
_BLOCKS: Final = ((" ", ""), ("░", "red"), ("▒", "yellow"), ("▓", "yellow"), ("█", "green"))
_PLAIN: Final = (".", "-", "+", "+", "#")


def drawn_bar(name: str, ledgers: LedgerSet, span: LedgerRange, console: Console, *, indent: int = 0) -> Text:
    """Draw a line: the name, the first ledger, a cell for each equal part of the range, the last ledger."""
    ends = len(str(span.first)) + len(str(span.end)) + 4
    beside = min(_NAME, max(indent, len(name))) + 2
    room = min(_WIDEST, console.width - beside - ends)
    line = Text(f"{_cut(name):<{beside}}{span.first} ", no_wrap=True)
    plain = not console.is_terminal or not (console.encoding or "").lower().startswith("utf")
    line.append("|" if plain else "▕")
    for share in shares(ledgers, span, max(1, min(room, span.count))):
        level = 0 if share == 0 else 4 if share == 1 else 1 + min(2, int(share * 3))
        if plain:
            line.append(_PLAIN[level])
        else:
            line.append(*_BLOCKS[level])
    line.append("|" if plain else "▏")
    line.append(f" {span.end}")
    return line


def _cut(name: str) -> str:
    return name if len(name) <= _NAME else f"…{name[1 - _NAME :]}"


def shares(ledgers: LedgerSet, span: LedgerRange, cells: int) -> list[float]:
    """Return how much of each of so many equal parts of a range is there, from 0 to 1."""
    found = []
    for cell in range(cells):
        first = span.first + span.count * cell // cells
        last = span.first + span.count * (cell + 1) // cells - 1
        part = LedgerSet([LedgerRange(first, last)])
        found.append((ledgers & part).count / part.count)
    return found
