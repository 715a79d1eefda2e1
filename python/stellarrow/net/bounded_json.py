"""A JSON object of a stranger: of bounded size and depth, or one sentence that says why not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from stellarrow.errors import ConfigError, nearest
from stellarrow.ledgers import LAST_POSSIBLE
from stellarrow.net.redaction import shortened

_MAX_DEPTH: Final = 32


class KeyTwice(ConfigError):
    """An object has a key more than once; `key` is it."""

    def __init__(self, what: str, key: str) -> None:
        super().__init__(f"{what} has {shortened(key)!r} more than once: give it once")
        self.key = key


def read_object(text: bytes, what: str, *, largest: int) -> dict[str, Any]:
    """Return the object; ConfigError, about `what`, where it is none, too large or too deep."""
    if len(text) > largest:
        raise ConfigError(f"{what} has {len(text):,} bytes: at most {largest:,} are read")
    try:
        given = json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, what))
        if b"\\u" in text:
            json.dumps(given, ensure_ascii=False).encode()  # half a character, which no text can hold
    except KeyTwice:
        raise
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        if isinstance(error, UnicodeEncodeError):
            reason = "a text in it has half of a surrogate pair"
        raise ConfigError(f"{what} is no JSON ({reason}): send an object in UTF-8") from error
    if not isinstance(given, dict):
        raise ConfigError(f"{what} is no JSON object: send one")
    if _depth(given) > _MAX_DEPTH:
        raise ConfigError(f"{what} is nested more than {_MAX_DEPTH} deep: send it flatter")
    return given


def _once(pairs: list[tuple[str, Any]], what: str) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise KeyTwice(what, next(name for name in names if names.count(name) > 1))
    return made


class JsonObject:
    """An object's values by key, each of the kind it must be; null is not given."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given

    @classmethod
    def read(cls, text: bytes, what: str, *, keys: Sequence[str], largest: int) -> JsonObject:
        """Read an object that has no other keys; ConfigError, about `what`, where it is none."""
        given = read_object(text, what, largest=largest)
        for key in given:
            if key not in keys:
                remedy = nearest(key, keys, f"choose among {', '.join(keys)}", show=repr)
                raise ConfigError(f"{what} has {shortened(key)!r}: {remedy}")
        return cls(given)

    def has(self, key: str) -> bool:
        """Tell whether a key is given with anything but null and false."""
        return self._given.get(key) not in (None, False)

    def text(self, key: str) -> str:
        return str(self._of(key, "", _is_text, "a text"))

    def truth(self, key: str, *, default: bool) -> bool:
        return bool(self._of(key, default, lambda value: isinstance(value, bool), "true or false"))

    def ledger(self, key: str) -> int:
        return int(self._of(key, 0, _is_ledger, "a ledger's number"))

    def count(self, key: str) -> int:
        return int(self._of(key, 0, _is_count, "a whole number from 0"))

    def number(self, key: str, most: int) -> int:
        """Return a whole number from 1 to `most`, 0 where none is given."""
        return int(self._of(key, 0, lambda value: _is_number(value, most), f"a number from 1 to {most:,}"))

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(self._of(key, (), _are_texts, "a list of texts"))

    def _of(self, key: str, default: Any, fits: Callable[[Any], bool], allowed: str) -> Any:
        value = self._given.get(key)
        if value is not None and not fits(value):
            raise ConfigError(f"{key} is {shortened(repr(value))}: it must be {allowed}")
        return default if value is None else value


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not any("\ud800" <= one <= "\udfff" for one in value)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_number(value: Any, most: int) -> bool:
    return type(value) is int and 1 <= value <= most


def _is_ledger(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LAST_POSSIBLE


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _depth(value: Any) -> int:
    """Return how deep lists and objects are nested, without recursion."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        deepest = max(deepest, depth)
        if depth <= _MAX_DEPTH and isinstance(one, dict | list):
            inner = one.values() if isinstance(one, dict) else one
            waiting += [(part, depth + 1) for part in inner if isinstance(part, dict | list)]
    return deepest
