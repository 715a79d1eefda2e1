"""What an RPC node knows of contracts now: which code they run, since when at least, and the code."""

from __future__ import annotations

import base64
import struct
from contextlib import closing
from hashlib import sha256
from typing import Any, Final

from stellarrow.core.strkey import CONTRACT, decode
from stellarrow.errors import SourceError
from stellarrow.net.credentials import NO_CREDENTIALS, ClientCredentials
from stellarrow.sources.rpc.connection import Connection

_TIMEOUT: Final = 30.0
_METHOD: Final = "getLedgerEntries"
# LedgerEntryType, SCAddressType, SCValType, ContractDataDurability (Stellar-contract.x).
_DATA, _CODE = 6, 7
_CONTRACT, _PERSISTENT = 1, 1
_BYTES, _INSTANCE, _INSTANCE_KEY, _TAG = 13, 19, 20, 22
_WASM, _STELLAR_ASSET, _EXTERNAL_REF = range(3)
_COST_INPUTS: Final = 44  # bytes that code of protocol 21 and later has in front

Ran = tuple[int, str | None]


class SpecNode:
    """A node that is asked for contracts' code."""

    def __init__(self, url: str, credentials: ClientCredentials = NO_CREDENTIALS) -> None:
        address = url.removeprefix("rpc+")
        self._connection = Connection(address, timeout=_TIMEOUT, credentials=credentials)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def ran(self, contract: str) -> Ran | None:
        """Return from which ledger on a contract runs the code of a hash; None instead is an asset's.

        None where the node does not have its instance.
        """
        address = _u32(_CONTRACT) + decode(contract, CONTRACT)
        found = self._entry(_u32(_DATA) + address + _u32(_INSTANCE_KEY) + _u32(_PERSISTENT))
        if found is None:
            return None
        reader, ledger = _Reader(found[0], f"{self._connection.name}: the instance of {contract}"), found[1]
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
        key = _u32(_TAG) + _u32(len(tag)) + tag + b"\0" * (-len(tag) % 4)
        found = self._entry(_u32(_DATA) + _u32(_CONTRACT) + owner + key + _u32(_PERSISTENT))
        if found is None:
            return None
        reader = _Reader(found[0], f"{self._connection.name}: the code named {tag.decode(errors='replace')}")
        reader.expect(_DATA, 0, _CONTRACT)
        reader.take(32 + len(key) + 4)
        reader.expect(_BYTES, 32)
        return max(since, found[1]), reader.take(32).hex()

    def code(self, hash: str) -> bytes | None:
        """Return the code of a hash (hex), which is compared; None where the node does not have it."""
        found = self._entry(_u32(_CODE) + bytes.fromhex(hash))
        if found is None:
            return None
        reader = _Reader(found[0], f"{self._connection.name}: the code {hash}")
        reader.expect(_CODE)
        if reader.u32():
            reader.take(_COST_INPUTS)
        reader.take(32)
        code = reader.text()
        if sha256(code).hexdigest() != hash:
            reader.fail()
        return code

    def _entry(self, key: bytes) -> tuple[bytes, int] | None:
        asked = {"keys": [base64.b64encode(key).decode()]}
        answer, _ = self._connection.call(_METHOD, asked)
        entries: Any = answer.get("entries") or []
        try:
            for entry in entries:
                return base64.b64decode(entry["xdr"], validate=True), int(entry["lastModifiedLedgerSeq"])
        except (KeyError, TypeError, ValueError) as error:
            raise SourceError(f"{self._connection.name} answered {_METHOD} with what is no entry") from error
        return None


class _Reader:
    """XDR, read from its beginning; what does not fit is a SourceError."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._at = 0
        self._what = what

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
        raise SourceError(f"{self._what} is not what it should be: ask another node")


def _u32(number: int) -> bytes:
    return struct.pack(">I", number)


def open_node(url: str, credentials: ClientCredentials = NO_CREDENTIALS) -> closing[SpecNode]:
    """Ask a node, and hang up at the end."""
    return closing(SpecNode(url, credentials))
