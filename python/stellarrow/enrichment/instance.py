"""A token's own metadata (SEP-41) out of the instance of its contract, read from XDR within bounds.

It lies in the instance's storage under the symbol METADATA: a map of decimal, name and symbol, as the
Stellar Asset Contract and the tokens of soroban-token-sdk keep it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from struct import unpack
from typing import Any, Final

_METADATA: Final = b"METADATA"
_DEPTH: Final = 64  # of values within values; the chain has its own limit, of 500
_LONGEST: Final = 1_000  # bytes of a name
# SCValType of XDR: how many words of four bytes a value of constant size has.
_SIZES: Final = {
    **dict.fromkeys((1, 20), 0),  # void, the key of an instance
    **dict.fromkeys((0, 3, 4), 1),  # bool, u32, i32
    **dict.fromkeys((2, 5, 6, 7, 8, 21), 2),  # error, 64 bits, moments, nonce
    **dict.fromkeys((9, 10), 4),
    **dict.fromkeys((11, 12), 8),
}
_U32, _BYTES, _STRING, _SYMBOL, _VEC, _MAP, _ADDRESS, _INSTANCE = 3, 13, 14, 15, 16, 17, 18, 19
_TEXTS: Final = (_BYTES, _STRING, _SYMBOL)
_ADDRESSES: Final = {0: 9, 1: 8, 2: 10, 3: 9, 4: 8}  # SCAddressType


@dataclass(frozen=True, slots=True)
class Token:
    """What a token's contract says of it; None where it does not."""

    decimals: int | None = None
    name: str | None = None
    symbol: str | None = None


class _Malformed(Exception):
    """The bytes are no value that the chain writes."""


def token_of(val_xdr: str) -> Token | None:
    """Return what an instance's ScVal says of a token; None where it is no token's, or nothing sound."""
    try:
        data = base64.b64decode(val_xdr, validate=True)
        if _METADATA not in data:  # as most contracts are no tokens
            return None
        found = _Reader(data).metadata()
    except (_Malformed, binascii.Error, IndexError):
        return None
    if found is None:
        return None
    decimals = found.get(b"decimal")
    name, symbol = _text(found.get(b"name")), _text(found.get(b"symbol"))
    return Token(decimals if isinstance(decimals, int) else None, name, symbol)


def _text(value: Any) -> str | None:
    """Write a text of the chain as tables do: other bytes than UTF-8, NUL and backslashes are escaped."""
    if not isinstance(value, bytes) or len(value) > _LONGEST:
        return None
    return value.replace(b"\\", b"\\\\").replace(b"\0", b"\\0").decode("utf-8", "backslashreplace")


class _Reader:
    """Goes over the words of XDR, and makes no object of a value that is of no use here.

    A place is the number of a word; IndexError where there are fewer.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._words: tuple[int, ...] = unpack(f">{len(data) // 4}I", data[: len(data) // 4 * 4])

    def metadata(self) -> dict[bytes, Any] | None:
        """Return the numbers and texts of an instance's METADATA by their symbols, None where it has none."""
        words = self._words
        storage = 10 if words[1] == 0 else 2  # behind the executable: code by its hash, or the asset contract
        if words[0] != _INSTANCE or not words[storage]:
            return None
        places, end = self._entries(storage + 1, 0)
        if end > len(words):
            raise _Malformed
        place = places.get(_METADATA)
        if place is None or words[place] != _MAP:
            return None
        return (
            {key: self._known(at) for key, at in self._entries(place + 2, 1)[0].items()}
            if words[place + 1]
            else {}
        )

    def _entries(self, at: int, depth: int) -> tuple[dict[bytes, int], int]:
        """Return where an SCMap's values lie, by those keys that are texts, and where it ends."""
        places = {}
        count, at = self._words[at], at + 1
        for _ in range(count):
            key = self._known(at)
            at = self._behind(at, depth)
            if isinstance(key, bytes):
                places[key] = at
            at = self._behind(at, depth)
        return places, at

    def _known(self, at: int) -> Any:
        """Return an SCVal's number or text; None of any other."""
        kind = self._words[at]
        if kind == _U32:
            return self._words[at + 1]
        begin = at * 4 + 8
        return self._data[begin : begin + self._words[at + 1]] if kind in _TEXTS else None

    def _behind(self, at: int, depth: int) -> int:
        """Return where an SCVal ends."""
        words = self._words
        kind = words[at]
        if (size := _SIZES.get(kind)) is not None:
            return at + 1 + size
        head = words[at + 1]
        if kind in _TEXTS:
            return at + 2 + (head + 3) // 4
        if kind == _ADDRESS and head in _ADDRESSES:
            return at + 2 + _ADDRESSES[head]
        if kind not in (_VEC, _MAP):
            raise _Malformed
        if not head:
            return at + 2
        count = words[at + 2] * (2 if kind == _MAP else 1)
        if count and depth >= _DEPTH:
            raise _Malformed
        at += 3
        for _ in range(count):
            at = self._behind(at, depth + 1)
        return at
