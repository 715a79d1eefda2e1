"""A ledger written by hand, whose events are called as a token's are but are not as SEP-41 has them."""

from __future__ import annotations

from hashlib import sha256
from struct import pack
from typing import Final

CONTRACT, ACCOUNT = b"\xcc" * 32, b"\xaa" * 32
SEQUENCE, CLOSED = 777, 1_700_000_000
HASH: Final = bytes(32)
NOTHING: Final = bytes(4)  # an empty array, an absent optional, an extension of version 0
AFTER_TX: Final = 1  # stage of a TransactionEvent


def uint(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in numbers)


def array(*items: bytes) -> bytes:
    return uint(len(items)) + b"".join(items)


def text(value: bytes) -> bytes:
    return uint(len(value)) + value + bytes(-len(value) % 4)


def symbol(name: str) -> bytes:
    return uint(15) + text(name.encode())


def string(value: str) -> bytes:
    return uint(14) + text(value.encode())


def account() -> bytes:
    return uint(18, 0, 0) + ACCOUNT


def i128(number: int) -> bytes:
    return uint(10) + number.to_bytes(16, "big", signed=True)


def u32(number: int) -> bytes:
    return uint(3, number)


def event(*topics: bytes, data: bytes, contract: bytes = CONTRACT, kind: int = 1) -> bytes:
    """Return a ContractEvent; `kind` is its ContractEventType: 0 system, 1 contract."""
    return NOTHING + uint(1) + contract + uint(kind, 0) + array(*topics) + data


# By operation; each is an anomaly unless said otherwise.
OPERATIONS: Final = (
    (
        event(symbol("transfer"), account(), account(), data=i128(1)),  # a transfer as the standard has it
        event(symbol("transfer"), account(), data=i128(2)),
        event(symbol("mint"), string("nobody"), data=i128(3)),
    ),
    (
        event(symbol("approve"), data=u32(4)),  # not called as a token's event
        event(symbol("burn"), account(), account(), data=i128(5)),
        event(symbol("clawback"), account(), account(), u32(6), data=i128(6)),
        event(symbol("mint"), account(), data=u32(7)),
        event(symbol("burn"), account(), data=i128(8), kind=0),
    ),
)
FEES: Final = (event(symbol("fee"), account(), data=i128(9)),)  # by a contract that is not the native asset's


def transaction(hashed: bytes, code: int) -> bytes:
    """Return a TransactionResultMeta with meta of version 4; its TransactionResultCode is `code`."""
    result = hashed + pack(">qi", 100, code) + (array() if code in (0, -1) else b"") + NOTHING
    operations = array(*(NOTHING + array() + array(*events) for events in OPERATIONS))
    fees = array(*(uint(AFTER_TX) + fee for fee in FEES))
    meta = uint(4) + NOTHING + array() + operations + array() + NOTHING + fees + array()
    return result + array() + meta


def header() -> bytes:
    """Return a LedgerHeaderHistoryEntry of protocol 23: the header's hash stands before it."""
    value = HASH + pack(">Q", CLOSED) + array() + NOTHING
    figures = uint(SEQUENCE) + pack(">qqIQIII", 0, 0, 0, 0, 100, 5_000_000, 100)
    header = uint(23) + HASH + value + HASH + HASH + figures + HASH * 4 + NOTHING
    return sha256(header).digest() + header + NOTHING


def ledger() -> bytes:
    """Return a LedgerCloseMeta of version 0: one transaction that took effect, one that failed."""
    transactions = array(transaction(b"\x01" * 32, 0), transaction(b"\x02" * 32, -1))
    return uint(0) + header() + HASH + array() + transactions + array() + array()
