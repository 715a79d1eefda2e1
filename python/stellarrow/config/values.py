"""The kinds of values settings have: how each is read from text, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Generic, TypeVar

from stellarrow.errors import ConfigError
from stellarrow.ledgers import LAST_POSSIBLE
from stellarrow.net.address import Address
from stellarrow.net.credentials import ClientCredentials, Header, split_headers
from stellarrow.net.redaction import MASK, redacted_url

Value = TypeVar("Value")

_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+", re.ASCII)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_TRUTH: Final = {
    **dict.fromkeys(("true", "t", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "f", "0", "no", "off"), False),
}


@dataclass(frozen=True, slots=True)
class Kind(Generic[Value]):
    """How a setting is read; `read` raises ValueError, `allowed` ends the sentence "it must be …"."""

    read: Callable[[str], Value]
    allowed: str
    metavar: str
    shown: Callable[[str], str] = str
    check: Callable[[str], object] = str  # of each text of a list that a file gives
    is_secret: bool = False  # then it may stand in a file that a variable names


def _read_duration(text: str) -> float:
    compact = text.replace(" ", "")
    if not _DURATION.fullmatch(compact):
        raise ValueError(text)
    parts = re.findall(r"([\d.]+)(ms|s|m|h)", compact)
    return sum(float(amount) * _SECONDS[unit] for amount, unit in parts)


def _read_period(text: str) -> float:
    seconds = _read_duration(text)
    if not seconds:
        raise ValueError(text)
    return seconds


def _read_truth(text: str) -> bool:
    try:
        return _TRUTH[text.lower()]
    except KeyError as error:
        raise ValueError(text) from error


def _read_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def number(least: int, most: int | None = None) -> Kind[int]:
    """Whole numbers between two bounds."""

    def read(text: str) -> int:
        value = int(text.replace("_", "").replace(",", ""))
        if value < least or (most is not None and value > most):
            raise ValueError(text)
        return value

    allowed = (
        f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}"
    )
    return Kind(read, allowed, "N")


def choice(names: Sequence[str]) -> Kind[str]:
    """One of a few words, in any case."""

    def read(text: str) -> str:
        if text.lower() not in names:
            raise ValueError(text)
        return text.lower()

    return Kind(read, f"{', '.join(names[:-1])} or {names[-1]}", "|".join(names))


def choices(names: Sequence[str]) -> Kind[tuple[str, ...]]:
    """Some of a few words, in any case."""

    def check(text: str) -> str:
        if text not in names:
            raise ValueError(text)
        return text

    def read(text: str) -> tuple[str, ...]:
        return tuple(check(one.lower()) for one in _read_list(text))

    return Kind(read, f"a list of {', '.join(names)}", "LIST", check=check)


def _read_headers(text: str) -> tuple[str, ...]:
    written = split_headers(text)
    for one in written:
        try:
            Header.parse(one)
        except ConfigError as error:
            raise ValueError("a header") from error
    return written


def _read_token(text: str) -> str:
    try:
        return ClientCredentials.of(token=text).token or ""
    except ConfigError as error:
        raise ValueError("a token") from error


def _headers_shown(text: str) -> str:
    try:
        return ", ".join(str(Header.parse(one)) for one in _read_headers(text))
    except ValueError:
        return MASK


TEXT: Final = Kind(str, "text", "TEXT")
URL: Final = Kind(str, "a URL", "URL", redacted_url)
SECRET: Final = Kind(str, "text", "TEXT", lambda _: MASK, is_secret=True)
HEADERS: Final = Kind(
    _read_headers,
    "headers, each written as 'Name: value' or 'HOST Name: value'",
    "LIST",
    _headers_shown,
    _read_headers,
    is_secret=True,
)
TOKEN: Final = Kind(_read_token, "a token in plain ASCII", "TEXT", lambda _: MASK, is_secret=True)
FILE: Final = Kind(Path, "a file", "FILE")
FOLDER: Final = Kind(Path, "a folder", "FOLDER")
ADDRESS: Final = Kind(Address.parse, "host:port or :port, with a port from 0 to 65535", "ADDRESS")
DURATION: Final = Kind(_read_duration, "a duration such as 500ms, 5s or 1m30s", "DURATION")
PERIOD: Final = Kind(_read_period, "a duration such as 500ms, 5s or 1m30s, and more than 0", "DURATION")
TRUTH: Final = Kind(_read_truth, "true or false", "BOOL")
LIST: Final = Kind(_read_list, "a list separated by commas", "LIST")
URLS: Final = Kind(_read_list, "a list separated by commas", "LIST", redacted_url)
RPC_URLS: Final = Kind(_read_list, "a list separated by commas", "LIST", partial(redacted_url, rpc=True))
LEDGER: Final = number(0, LAST_POSSIBLE)
