"""The kinds of values settings have: how each is read from text, and what is allowed."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, Generic, TypeVar

from stellarrow.errors import ConfigError, nearest
from stellarrow.ledgers import KNOWN_NETWORKS, LAST_POSSIBLE, Network
from stellarrow.ledgers.dates import is_moment, read_moment, without_spaces
from stellarrow.net.address import Address
from stellarrow.net.credentials import ClientCredentials, Header, split_headers
from stellarrow.net.redaction import MASK, redacted_url
from stellarrow.storage.paths import local_path

Value = TypeVar("Value")

_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+", re.ASCII)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST: Final = 100 * 365 * 86_400.0  # seconds: threads cannot wait for three times as many
_TRUTH: Final = {
    **dict.fromkeys(("true", "t", "1", "yes", "y", "on", "enabled", "enable"), True),
    **dict.fromkeys(("false", "f", "0", "no", "n", "off", "disabled", "disable"), False),
}


@dataclass(frozen=True, slots=True)
class Kind(Generic[Value]):
    """How a setting is read; `read` raises ValueError, `allowed` ends the sentence "it must be …".

    A ValueError that begins with "did you mean" names the nearest value. Where it `explains`, a ConfigError
    says what is wrong by itself.
    """

    read: Callable[[str], Value]
    allowed: str
    metavar: str
    shown: Callable[[str], str] = str
    check: Callable[[str], object] = str  # of each text of a list that a file gives
    explains: bool = False
    is_secret: bool = False  # then it may stand in a file that a variable names

    @property
    def is_list(self) -> bool:
        """Whether it takes several values, separated by commas."""
        return self.metavar == "LIST"


def _read_duration(text: str) -> float:
    compact = text.replace(" ", "")
    if not _DURATION.fullmatch(compact):
        raise ValueError(text)
    parts = re.findall(r"([\d.]+)(ms|s|m|h)", compact)
    seconds = sum(float(amount) * _SECONDS[unit] for amount, unit in parts)
    if seconds > _LONGEST:
        raise ValueError(text)
    return seconds


def _read_period(text: str) -> float:
    seconds = _read_duration(text)
    if not seconds:
        raise ValueError(text)
    return seconds


def _read_truth(text: str) -> bool:
    try:
        return _TRUTH[text.strip().strip("'\"").lower()]
    except KeyError as error:
        raise ValueError(nearest(text.lower(), ("true", "false", "yes", "no"), "")) from error


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


def choice(names: Sequence[str], synonyms: Mapping[str, str] = MappingProxyType({})) -> Kind[str]:
    """One of a few words, in any case; `synonyms` are other programs' words for them."""
    known = {**synonyms, **{name.replace("_", "-"): name for name in names}}

    def read(text: str) -> str:
        word = text.strip().strip("'\"").lower().replace("_", "-")
        if word not in known:
            raise ValueError(nearest(word, known, "", show=known.__getitem__))
        return known[word]

    return Kind(read, f"{', '.join(names[:-1])} or {names[-1]}", "|".join(names))


def _read_network(text: str) -> str:
    """Keep a known network's name; any other text is a passphrase, as it was written."""
    network = Network.of(text)  # its own error says more than a kind can
    return network.name if network in KNOWN_NETWORKS else text


def _read_ledger_or_date(text: str) -> int | str:
    """Keep a date as it was written: which ledger it means, the source has to tell."""
    compact = without_spaces(text)
    if not is_moment(compact) or not compact[:1].isdigit():  # what counts from now means another each day
        return LEDGER.read(text)
    read_moment(compact)
    return compact


def choices(names: Sequence[str]) -> Kind[tuple[str, ...]]:
    """Some of a few words, in any case."""
    one = choice(names)

    def read(text: str) -> tuple[str, ...]:
        return tuple(map(one.read, _read_list(text)))

    return Kind(read, f"a list of {', '.join(names)}", "LIST", check=one.read)


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


_RATE: Final = re.compile(r"(?P<count>\d{1,9})(?:/(?P<unit>[smh]))?", re.ASCII)


def _read_rate(text: str) -> str:
    match = _RATE.fullmatch(text.replace(" ", ""))
    if not match or not int(match["count"]):
        raise ValueError(text)
    return f"{int(match['count'])}/{match['unit'] or 's'}"


def _read_address_ranges(text: str) -> tuple[str, ...]:
    return tuple(map(_read_address_range, _read_list(text)))


def _read_address_range(text: str) -> str:
    return str(ipaddress.ip_network(text, strict=False))


RATE: Final = Kind(_read_rate, "a rate such as 100/s, 600/m or 5000/h", "RATE")
ADDRESS_RANGES: Final = Kind(
    _read_address_ranges, "a list of address ranges such as 10.0.0.0/8", "LIST", check=_read_address_range
)


def _read_endpoint(text: str) -> str:
    """Read where a raw-ledger service listens, over gRPC unless a scheme says otherwise."""
    scheme, separator, rest = text.strip().partition("://")
    if not separator:
        return str(Address.parse(text))
    if scheme not in ("grpc", "grpcs", "flight", "flights"):
        raise ValueError(scheme)
    return f"{scheme}://{Address.parse(rest)}"


def _read_path(text: str) -> Path:
    """Read a path, in which `~` is a home; a URL would become folders with the password of its user."""
    if not text or "://" in text or "\0" in text:
        raise ValueError(text)
    return local_path(text)


TEXT: Final = Kind(str, "text", "TEXT")
NETWORK: Final = Kind(_read_network, "a network's name or passphrase", "TEXT", explains=True)
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
FILE: Final = Kind(_read_path, "a file of this machine, not a URL", "FILE", redacted_url)
FOLDER: Final = Kind(_read_path, "a folder of this machine, not a URL", "FOLDER", redacted_url)
ADDRESS: Final = Kind(Address.parse, "host:port or :port, with a port from 0 to 65535", "ADDRESS")
ENDPOINT: Final = Kind(
    _read_endpoint,
    "host:port, or grpc://, grpcs://, flight:// or flights:// before it",
    "ADDRESS",
    redacted_url,
)
DURATION: Final = Kind(_read_duration, "a duration such as 500ms, 5s or 1m30s", "DURATION")
PERIOD: Final = Kind(_read_period, "a duration such as 500ms, 5s or 1m30s, and more than 0", "DURATION")
TRUTH: Final = Kind(_read_truth, "true or false", "BOOL")
LIST: Final = Kind(_read_list, "a list separated by commas", "LIST")
URLS: Final = Kind(_read_list, "a list separated by commas", "LIST", redacted_url)
RPC_URLS: Final = Kind(_read_list, "a list separated by commas", "LIST", partial(redacted_url, rpc=True))
LEDGER: Final = number(0, LAST_POSSIBLE)
LEDGER_OR_DATE: Final = Kind(
    _read_ledger_or_date, f"{LEDGER.allowed}, or a date such as 2024-07-01 or 2024-07-01T12:00Z", "LEDGER"
)
