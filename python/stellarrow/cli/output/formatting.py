"""Numbers, sizes, times and addresses as people read them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

from stellarrow.errors import ConfigError
from stellarrow.ledgers import LedgerSet

_UNITS: Final = {
    "": 1,
    "B": 1,
    "KB": 1_000,
    "MB": 1_000_000,
    "GB": 1_000_000_000,
    "KIB": 1 << 10,
    "MIB": 1 << 20,
    "GIB": 1 << 30,
}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]?i?B?)", re.IGNORECASE | re.ASCII)
_TWO_DAYS: Final = 2 * 86_400  # seconds
_LONG: Final = 12  # an address shorter than this is shown whole


def count(number: float) -> str:
    return f"{number:,.0f}"


def many(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size(amount: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1_000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1_000
    return f"{amount:.1f} TB"


def seconds(amount: float) -> str:
    if amount >= _TWO_DAYS:
        return f"{amount / 86_400:,.0f} days"
    if 0 < amount < 1:
        return f"{amount * 1_000:.0f} ms"
    if amount < 60:
        return f"{amount} s" if isinstance(amount, int) else f"{amount:.1f} s"
    minutes, rest = divmod(round(amount), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def instant(moment: datetime) -> str:
    """Write a time as every command does, and as ranges of ledgers take it: 2024-07-01T12:00:00Z."""
    return moment.isoformat().replace("+00:00", "Z")


def address(strkey: str) -> str:
    return strkey if len(strkey) < _LONG else f"{strkey[:4]}…{strkey[-4:]}"


def shortened(text: str) -> str:
    """Shorten every address and every long hex number in a text."""
    text = re.sub(r"\b[GCMBL][A-Z2-7]{55,68}\b", lambda found: address(found[0]), text)
    return re.sub(r"\b(0x[0-9a-f]{4})[0-9a-f]{12,}([0-9a-f]{4})\b", r"\1…\2", text)


def ranges(ledgers: LedgerSet, *, at_most: int = 4) -> str:
    lines = [str(part).replace(":", " to ") for part in ledgers.ranges[:at_most]]
    more = len(ledgers.ranges) - at_most
    return ", ".join(lines) + (f" and {many(more, 'range')} more" if more > 0 else "")


def read_size(text: str) -> int:
    """Read a size such as 4KB, 1.7MB or 14.5MiB."""
    match = _SIZE.fullmatch(text.strip())
    if not match or match[2].upper() not in _UNITS:
        raise ConfigError(f"{text!r} is no size: write it as 4KB, 1.7MB or 14.5MiB")
    return round(float(match[1]) * _UNITS[match[2].upper()])


def columns(rows: dict[str, int], *, show: Callable[[float], str] = count) -> str:
    return ", ".join(f"{name} {show(number)}" for name, number in rows.items())
