"""A token's own metadata (SEP-41) out of the instance of its contract, read from XDR within bounds.

It lies in the instance's storage under the symbol METADATA: a map of decimal, name and symbol, as the
Stellar Asset Contract and the tokens of soroban-token-sdk keep it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

_METADATA: Final = b"METADATA"
_DEPTH: Final = 64  # of values within values; the chain has its own limit, of 500
_LONGEST: Final = 1_000  # bytes of a name
# SCValType of XDR: how many bytes a value of constant size has.
_SIZES: Final = {
    **dict.fromkeys((1, 20), 0),  # void, the key of an instance
    **dict.fromkeys((0, 3, 4), 4),  # bool, u32, i32
    **dict.fromkeys((2, 5, 6, 7, 8, 21), 8),  # error, 64 bits, moments, nonce
    **dict.fromkeys((9, 10), 16),
    **dict.fromkeys((11, 12), 32),
}
_U32, _BYTES, _STRING, _SYMBOL, _VEC, _MAP, _ADDRESS, _INSTANCE = 3, 13, 14, 15, 16, 17, 18, 19
_ADDRESSES: Final = {0: 36, 1: 32, 2: 40, 3: 36, 4: 32}  # SCAddressType


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
        reader = _Reader(data)
        if reader.number() != _INSTANCE:
            return None
        reader.skip(
            32 if reader.number() == 0 else 0
        )  # the executable: code by its hash, or the asset contract
        storage = reader.entries(0) if reader.number() else {}
    except (_Malformed, binascii.Error):
        return None
    found = storage.get(_METADATA)
    if not isinstance(found, dict):
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
    """Goes over XDR; of values it keeps numbers, texts, and maps by their symbols."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def skip(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise _Malformed
        taken, self._at = self._data[self._at : end], end
        return taken

    def number(self) -> int:
        return int.from_bytes(self.skip(4), "big")

    def text(self) -> bytes:
        size = self.number()
        taken = self.skip(size)
        self.skip(-size % 4)
        return taken

    def entries(self, depth: int) -> dict[bytes, Any]:
        """Read an SCMap."""
        found = {}
        for _ in range(self.number()):
            key, value = self.value(depth), self.value(depth)
            if isinstance(key, bytes):
                found[key] = value
        return found

    def value(self, depth: int) -> Any:
        """Read an SCVal; what is of no use here is None."""
        kind = self.number()
        if depth > _DEPTH:
            raise _Malformed
        if kind == _U32:
            return self.number()
        if kind in _SIZES:
            self.skip(_SIZES[kind])
        elif kind in (_BYTES, _STRING, _SYMBOL):
            return self.text()
        elif kind == _ADDRESS:
            self.skip(_ADDRESSES.get(self.number(), len(self._data)))
        elif kind == _VEC:
            for _ in range(self.number() and self.number()):
                self.value(depth + 1)
        elif kind == _MAP:
            return self.entries(depth + 1) if self.number() else {}
        else:
            raise _Malformed
        return None
