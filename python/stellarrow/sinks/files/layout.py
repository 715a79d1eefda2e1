"""Names: which ledgers a file covers, which folder a row belongs to.

A table without partitions is `<table>/<first>-<last><suffix>`, a partitioned one
`<table>/<column>=<value>/<first>-<last><suffix>`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from stellarrow.errors import ConfigError
from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST: Final = "_manifest"  # engines that read Hive folders skip what begins with an underscore
NO_VALUE: Final = "__HIVE_DEFAULT_PARTITION__"  # Hive's own name for null

_NAME: Final = re.compile(r"(\d{10})-(\d{10})(\..+)", re.ASCII)
_PREFIX: Final = 3  # characters of a contract id: all begin with C and one of A to D, so 128 folders


def file_name(ledgers: LedgerRange, suffix: str) -> str:
    return f"{ledgers.first:010d}-{ledgers.end:010d}{suffix}"


def named_range(path: str, *suffixes: str) -> LedgerRange | None:
    """Return the ledgers a file's name tells; None where the name, or its suffix, is another."""
    match = _NAME.fullmatch(path.rpartition("/")[2])
    if not match or (suffixes and match[3] not in suffixes):
        return None
    first, last = int(match[1]), int(match[2])
    return LedgerRange(first, last) if first <= last <= LAST_POSSIBLE else None


def aligned(ledgers: LedgerRange, size: int) -> Iterator[LedgerRange]:
    """Cut a range where a ledger is a multiple of `size`."""
    first = ledgers.first
    while first <= ledgers.end:
        last = min(ledgers.end, window(first, size).end)
        yield LedgerRange(first, last)
        first = last + 1


def window(ledger: int, size: int) -> LedgerRange:
    """Return the aligned range of `size` ledgers that a ledger is in."""
    first = ledger // size * size
    return LedgerRange(first, min(first + size - 1, LAST_POSSIBLE))


def nested(ranges: Iterable[LedgerRange]) -> dict[LedgerRange, list[LedgerRange]]:
    """Return those ranges that hold others, and for each which lie within it."""
    found: dict[LedgerRange, list[LedgerRange]] = {}
    outer = None
    for part in sorted(set(ranges), key=lambda part: (part.first, -part.end)):
        if outer and part.end <= outer.end:
            found.setdefault(outer, []).append(part)
        else:
            outer = part
    return found


def superseded(ranges: Iterable[LedgerRange]) -> set[LedgerRange]:
    """Return the ranges that lie within another one: what compaction replaced, or a second writer wrote.

    By their names alone: enough to read each ledger once, never enough to remove anything.
    """
    return {part for inner in nested(ranges).values() for part in inner}


def trusted(ranges: Iterable[LedgerRange]) -> Iterator[tuple[LedgerRange, LedgerRange]]:
    """Yield each range that counts and the part of it to read, so that every ledger is read once."""
    ranges = set(ranges)
    reach = -1
    for part in sorted(ranges - superseded(ranges)):
        yield part, LedgerRange(max(part.first, reach + 1), part.end)
        reach = part.end


@dataclass(frozen=True, slots=True)
class Partition:
    """How the rows of a table are spread over folders: by what the folder of a column's value is called."""

    name: str
    column: str
    folder: Callable[[Any], str]

    @classmethod
    def of(cls, text: str) -> Partition | None:
        """Read `ledgers` (no folders), `date`, `hour`, `asset_code`, `event_type` or `contract_id[:N]`."""
        kind, _, length = text.partition(":")
        if kind == "contract_id" and (length in ("3", "4", "5") or not length):
            size = int(length or _PREFIX)
            return cls(text, kind, lambda one: f"contract_prefix={one[:size] if one else NO_VALUE}")
        if text in ("date", "hour"):
            pattern = "date=%Y-%m-%d" if text == "date" else "hour=%Y-%m-%dT%H"
            return cls(text, "closed_at", lambda moment: str(moment.strftime(pattern)))
        if text in ("asset_code", "event_type"):
            return cls(text, text, lambda one: f"{text}={quote(one, safe='') if one else NO_VALUE}")
        if text in ("", "ledgers"):
            return None
        raise ConfigError(
            f"partition {text!r} is unknown: choose ledgers, date, hour, asset_code, event_type,"
            " contract_id or contract_id:N with N from 3 to 5"
        )

    def folders(self, column: pa.Array) -> tuple[pa.Array, list[str]]:
        """Return for each value of the column the index of its folder, and the folders."""
        import pyarrow as pa  # noqa: PLC0415  names alone need no Arrow

        texts = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        encoded = texts.dictionary_encode(null_encoding="encode")
        names: dict[str, int] = {}
        places = [names.setdefault(self.folder(one), len(names)) for one in encoded.dictionary.to_pylist()]
        return pa.array(places, pa.int32()).take(encoded.indices), list(names)
