"""What callers of decode, scan and run pass, looked at before anything is done with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

from stellarrow.errors import ConfigError
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.ledgers.numbers import whole
from stellarrow.sql.named import NamedQuery

_SWITCHES = ("decoded", "diagnostics", "verify_chain")
_MANY = LedgerSet([LedgerRange(0, 1 << 31)])
_MOST_WORKERS = 1_024  # each is a thread
_TEXTS = ("framing", "transfers", "table", "select", "name", "url", "text")
_NEEDED = ("source", "tables", "table", "framing", "transfers", "name", "url", "text")


def check(**given: Any) -> None:
    """Refuse, as ConfigErrors, arguments of a wrong type or range, each by its name; most may be None."""
    for name, value in given.items():
        if name in _SWITCHES or (name == "verify_hashes" and value is not None):
            _require(isinstance(value, bool), name, value, "True or False")
        elif value is not None or name in _NEEDED:
            _check_given(name, value)


def _check_given(name: str, value: Any) -> None:
    if name == "ledgers":
        _ledgers(value)
    elif name == "network":
        _require(isinstance(value, str | Network), name, value, "a name such as pubnet, or a passphrase")
    elif name in ("tables", "columns"):
        texts(name, value, such_as="contract_events" if name == "tables" else "closed_at")
    elif name in _TEXTS:
        _require(_is_text(value), name, value, "a text")
    elif name in ("filter", "projection") and not isinstance(value, NamedQuery):
        named = [value] if isinstance(value, str) else value
        if not (isinstance(named, Sequence) and not named):
            texts(name, named, such_as="large_amounts")
    elif name == "source":
        is_source = hasattr(value, "read") and hasattr(value, "network")
        _require(is_source or isinstance(value, str | os.PathLike), name, value, "a path, a URL or a Source")


def _is_text(value: Any) -> bool:
    """Tell a text that UTF-8 can say: half of a surrogate pair is none."""
    return isinstance(value, str) and value == value.encode("utf-8", "replace").decode()


def _require(allowed: bool, name: str, value: Any, meant: str) -> None:
    if not allowed:
        raise ConfigError(f"{name} is {value!r}: give {meant}")


def texts(name: str, value: Any, *, such_as: str) -> None:
    """Refuse what is no list of texts, or an empty one."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    sound = is_list and len(value) > 0 and all(isinstance(one, str) for one in value)
    _require(sound, name, value, f"a list of names, such as [{such_as!r}]")


def number(name: str, value: Any, *, least: int, most: int = sys.maxsize) -> int:
    """Return a whole number of at least, and at most, so much; any library's is one, and True is none."""
    found = whole(value)
    if found is None or found < least:
        raise ConfigError(f"{name} is {value!r}: give a whole number of at least {least}")
    _require(found <= most, name, value, f"a whole number of at most {most}")
    return found


def workers_of(given: Any) -> int | None:
    """Return how many threads are to decode; None leaves it open."""
    return None if given is None else number("workers", given, least=1, most=_MOST_WORKERS)


def seconds(name: str, value: Any) -> float:
    """Return a positive number."""
    is_number: bool = isinstance(value, Real) and not isinstance(value, bool)
    sound = is_number and value > 0
    _require(sound, name, value, "a number of seconds above 0")
    return value if isinstance(value, int | float) else float(value)


class _AnyTimes:
    """Ledgers that closed whenever it is asked."""

    def since(self, second: int, *, follows: bool) -> int:  # noqa: ARG002  Times' signature
        return _MANY.first

    def until(self, second: int) -> int:  # noqa: ARG002  the Protocol has it
        return _MANY.last

    def closed_at(self, ledger: int) -> int:  # noqa: ARG002  the Protocol has it
        return 0


def _ledgers(value: Any) -> None:
    """Refuse what can name no ledgers, whatever a source has: the text is read as if it had any."""
    _require(
        isinstance(value, str | LedgerRange | LedgerSet),
        "ledgers",
        value,
        "a LedgerRange, a LedgerSet, or text such as '58752000:+1000'",
    )
    if isinstance(value, str):
        LedgerSet.parse(value, known=lambda: _MANY, times=_AnyTimes())


def one_range(value: LedgerSet | LedgerRange | str | None) -> LedgerRange | None:
    """Return the one range that decode takes, however it is given."""
    if value is None or isinstance(value, LedgerRange):
        return value
    found = LedgerSet.parse(value) if isinstance(value, str) else value
    if len(found.ranges) != 1:
        raise ConfigError(f"ledgers is {str(found)!r}: decode takes one range, such as '5:10'")
    return found.ranges[0]


def as_select(columns: Iterable[str], known: Iterable[str]) -> str:
    """Write columns, which are names that are known or expressions, as what SQL has after SELECT."""
    names = {*known}
    return ", ".join(f'"{one}"' if one in names else one for one in columns)
