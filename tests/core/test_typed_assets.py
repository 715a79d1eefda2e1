"""The Stellar Asset Contract's two interfaces: up to protocol 22, and from 23 on."""

from __future__ import annotations

import pytest

from stellarrow.core.typed import Knowledge
from typed_specs import ACCOUNT, CONTRACT, text, u32

ASSET = u32(14) + text(b"KALE:GBDVX4VELCDSQ54KQJYTNHXAHFLBCA77ZY2USQBM4CSHTTV7DME7KALE")
HOLDER = u32(18) + u32(0) * 2 + bytes(32)
ADMIN = u32(18) + u32(1) + bytes(32)
AMOUNT = u32(10) + (5).to_bytes(16, "big")


def symbol(name: bytes) -> bytes:
    return u32(15) + text(name)


def moved(muxed: bytes) -> bytes:
    entries = [symbol(b"amount") + AMOUNT, symbol(b"to_muxed_id") + muxed]
    return u32(17) + u32(1) + u32(2) + b"".join(entries)


@pytest.mark.parametrize(("protocol", "topics"), [(22, [ADMIN, HOLDER]), (23, [HOLDER]), (28, [HOLDER])])
def test_a_mint_goes_to_whom_it_went_by_the_interface_of_its_protocol(
    protocol: int, topics: list[bytes]
) -> None:
    tables = Knowledge([f"typed:{CONTRACT}"], {CONTRACT: "stellar-asset"}).tables()
    event = ([symbol(b"mint"), *topics, ASSET], AMOUNT)
    (row,) = tables.rows(CONTRACT, events=[event], protocol=protocol)[
        f"typed:{CONTRACT}/events/mint"
    ].to_pylist()
    assert (row["spec_status"], row["to"], row["amount_text"]) == ("decoded", ACCOUNT, "5")
    assert row["admin"] == (CONTRACT if protocol < 23 else None)


@pytest.mark.parametrize(
    ("muxed", "told"),
    [
        (u32(5) + (2**64 - 1).to_bytes(8, "big"), (str(2**64 - 1), "id")),
        (u32(14) + text(b"deposit"), ("deposit", "text")),
        (u32(13) + text(bytes(32)), ("00" * 32, "hash")),
    ],
)
def test_a_muxed_id_is_a_number_a_text_or_bytes(muxed: bytes, told: tuple[str, str]) -> None:
    tables = Knowledge([f"typed:{CONTRACT}"], {CONTRACT: "stellar-asset"}).tables()
    event = ([symbol(b"transfer"), HOLDER, HOLDER, ASSET], moved(muxed))
    (row,) = tables.rows(CONTRACT, events=[event])[f"typed:{CONTRACT}/events/transfer"].to_pylist()
    assert row["spec_status"] == "decoded"
    assert (row["to_muxed_id"], row["to_muxed_id_type"]) == told
