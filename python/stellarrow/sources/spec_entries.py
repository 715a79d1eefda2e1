"""Contracts' code out of ledger entries, wherever those are kept: an RPC node, a history archive."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from stellarrow.core.strkey import CONTRACT, decode
from stellarrow.errors import SourceError

# LedgerEntryType, SCAddressType, SCValType, ContractDataDurability (Stellar-contract.x).
_DATA, _CODE = 6, 7
_CONTRACT, _PERSISTENT = 1, 1
_BYTES, _INSTANCE, _INSTANCE_KEY, _TAG = 13, 19, 20, 22
_WASM, _STELLAR_ASSET, _EXTERNAL_REF = range(3)
COST_INPUTS: Final = 48  # bytes that code of protocol 21 and later has in front of its hash

# From which ledger on, and the hash of code; None is the Stellar Asset Contract.
Ran = tuple[int, str | None]


class SpecEntries:
    """Where contracts' instances and code are found by their keys.

    `name` is the place, `remedy` what to do where it holds what it should not.
    """

    name: str
    remedy: str

    def look_for(self, keys: Iterable[bytes]) -> None:
        """Prepare for these keys to be asked for, where that saves time."""

    def entry(self, key: bytes) -> tuple[bytes, int] | None:
        """Return the LedgerEntryData of a LedgerKey, and when it was written last; None where it is not."""
        raise NotImplementedError

    def _reader(self, data: bytes, what: str) -> _Reader:
        return _Reader(data, f"{self.name}: {what}", self.remedy)

    def ran(self, contract: str) -> Ran | None:
        """Return from which ledger on a contract runs the code of a hash; None instead is an asset's.

        None where that is not there its instance.
        """
        found = self.entry(instance_key(contract))
        if found is None:
            return None
        reader, ledger = self._reader(found[0], f"the instance of {contract}"), found[1]
        reader.expect(_DATA, 0, _CONTRACT)
        reader.take(32)
        reader.expect(_INSTANCE_KEY, _PERSISTENT, _INSTANCE)
        kind = reader.u32()
        if kind == _STELLAR_ASSET:
            return ledger, None
        if kind == _WASM:
            return ledger, reader.take(32).hex()
        reader.expect(_CONTRACT) if kind == _EXTERNAL_REF else reader.fail()
        return self._named(reader.take(32), reader.text(), ledger)

    def _named(self, owner: bytes, tag: bytes, since: int) -> Ran | None:
        """Return the code that another contract names under a tag (CAP-85)."""
        key = u32(_TAG) + u32(len(tag)) + tag + b"\0" * (-len(tag) % 4)
        found = self.entry(u32(_DATA) + u32(_CONTRACT) + owner + key + u32(_PERSISTENT))
        if found is None:
            return None
        reader = self._reader(found[0], f"the code named {tag.decode(errors='replace')}")
        reader.expect(_DATA, 0, _CONTRACT)
        reader.take(32 + len(key) + 4)
        reader.expect(_BYTES, 32)
        return max(since, found[1]), reader.take(32).hex()

    def code(self, hash: str) -> bytes | None:
        """Return the code of a hash (hex), which is compared; None where that is not there it."""
        found = self.entry(code_key(hash))
        if found is None:
            return None
        reader = self._reader(found[0], f"the code {hash}")
        reader.expect(_CODE)
        if reader.u32():
            reader.take(COST_INPUTS)
        reader.take(32)
        code = reader.text()
        if sha256(code).hexdigest() != hash:
            reader.fail()
        return code


class _Reader:
    """XDR, read from its beginning; what does not fit is a SourceError."""

    def __init__(self, data: bytes, what: str, remedy: str) -> None:
        self._data = data
        self._at = 0
        self._what = what
        self._remedy = remedy

    def take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            self.fail()
        self._at += count
        return taken

    def u32(self) -> int:
        (number,) = struct.unpack(">I", self.take(4))
        return int(number)

    def text(self) -> bytes:
        return self.take(self.u32())

    def expect(self, *numbers: int) -> None:
        if any(self.u32() != number for number in numbers):
            self.fail()

    def fail(self) -> None:
        raise SourceError(f"{self._what} is not what it should be: {self._remedy}")


def instance_key(contract: str) -> bytes:
    """Return the LedgerKey of a contract's instance."""
    return u32(_DATA) + u32(_CONTRACT) + decode(contract, CONTRACT) + u32(_INSTANCE_KEY) + u32(_PERSISTENT)


def code_key(hash: str) -> bytes:
    """Return the LedgerKey of code."""
    return u32(_CODE) + bytes.fromhex(hash)


def u32(number: int) -> bytes:
    """Write a number as XDR does."""
    return struct.pack(">I", number)
