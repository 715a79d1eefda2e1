"""Which asset a Stellar Asset Contract is of, proved by deriving its id from the asset.

The id is sha256 of HashIDPreimage (Stellar-transaction.x), arm ENVELOPE_TYPE_CONTRACT_ID, whose
ContractIDPreimage (arm FROM_ASSET) is the asset.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.core.strkey import ACCOUNT, CONTRACT, decode, encode
from stellarrow.ledgers import Network

_ENVELOPE_TYPE_CONTRACT_ID: Final = 8
_FROM_ASSET: Final = 1
_ED25519: Final = 0
_SCV_STRING: Final = 14

# Events of the Stellar Asset Contract, whose last topic is its asset (CAP-46-06, CAP-67).
_WITH_ASSET: Final = ("transfer", "mint", "burn", "clawback", "approve", "set_authorized", "set_admin")
_LONGEST_CODE: Final = 12


@dataclass(frozen=True, slots=True)
class Asset:
    """A classic asset; the native one has neither code nor issuer."""

    code: str | None = None
    issuer: str | None = None

    @classmethod
    def parse(cls, text: str) -> Asset | None:
        """Read `native` or `CODE:ISSUER`."""
        if text == "native":
            return cls()
        code, colon, issuer = text.partition(":")
        return cls(code, issuer) if colon and 0 < len(code) <= _LONGEST_CODE else None

    @property
    def type(self) -> str:
        if self.code is None:
            return "native"
        return "credit_alphanum4" if len(self.code) <= 4 else "credit_alphanum12"

    def xdr(self) -> bytes:
        if self.code is None or self.issuer is None:
            return struct.pack(">I", 0)
        arm, width = (1, 4) if len(self.code) <= 4 else (2, 12)
        issuer = struct.pack(">I", _ED25519) + decode(self.issuer, ACCOUNT)
        return struct.pack(">I", arm) + self.code.encode("ascii").ljust(width, b"\0") + issuer


class Assets:
    """The assets of one network's contracts, each worked out once."""

    def __init__(self, network: Network) -> None:
        self._network_id = hashlib.sha256(network.passphrase.encode()).digest()
        self._contracts: dict[str, str | None] = {}

    def contract_id(self, asset: Asset) -> str:
        """Derive the id of the asset's contract."""
        preimage = struct.pack(">I", _ENVELOPE_TYPE_CONTRACT_ID) + self._network_id
        preimage += struct.pack(">I", _FROM_ASSET) + asset.xdr()
        return encode(hashlib.sha256(preimage).digest(), CONTRACT)

    def proved(self, name: str, rows: pa.RecordBatch) -> dict[str, Asset]:
        """Return the contracts whose asset the rows of a table prove, by contract id."""
        found = {}
        for contract, claim in _claims(name, rows):
            if claim not in self._contracts:
                self._contracts[claim] = self._derived(claim)
            # Anyone may emit an event that names an asset; only its own contract's id follows from it.
            asset = Asset.parse(claim)
            if asset and self._contracts[claim] == contract:
                found[contract] = asset
        return found

    def _derived(self, claim: str) -> str | None:
        """Return the contract a claim is true of, None where it names no asset at all."""
        asset = Asset.parse(claim)
        try:
            return self.contract_id(asset) if asset else None
        except ValueError:
            return None


def keep(connection: psycopg.Connection, found: dict[str, Asset]) -> None:
    """Add assets, in one order, so that two writers do not wait for each other in a ring."""
    contracts = sorted(found)
    assets = [found[contract] for contract in contracts]
    connection.execute(
        "INSERT INTO stellar.assets (contract_id, asset_type, asset_code, asset_issuer)"
        " SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) ON CONFLICT DO NOTHING",
        [contracts, *([getattr(one, part) for one in assets] for part in ("type", "code", "issuer"))],
    )


def _claims(name: str, rows: pa.RecordBatch) -> Iterator[tuple[str, str]]:
    """Yield each contract with the asset that a row of the table says it has, once."""
    if name == "contract_events":
        yield from _claims_of_events(rows)
    elif name in ("contract_data", "token_transfers"):
        typed = rows.filter(pc.is_valid(rows.column("asset_type")))
        named = pa.table({one: typed.column(one) for one in ("contract_id", "asset_code", "asset_issuer")})
        for row in named.group_by(named.column_names).aggregate([]).to_pylist():
            code, issuer = row["asset_code"], row["asset_issuer"]
            yield row["contract_id"], "native" if code is None else f"{code}:{issuer}"


def _claims_of_events(rows: pa.RecordBatch) -> Iterator[tuple[str, str]]:
    rows = rows.filter(pc.is_in(rows.column("event_name"), pa.array(_WITH_ASSET)))
    topics = rows.column("topics_xdr")
    last = pc.subtract(topics.offsets[1:], 1)  # at least the name is there, so none is empty
    answer = pa.table({"contract": rows.column("contract_id"), "topic": topics.values.take(last)})
    for row in answer.group_by(["contract", "topic"]).aggregate([]).to_pylist():
        text = _string(row["topic"])
        if row["contract"] and text:
            yield row["contract"], text


def _string(topic: str) -> str | None:
    """Read an ScVal of type string; None for any other."""
    value = base64.b64decode(topic)
    kind, length = struct.unpack_from(">II", value.ljust(8, b"\0"))
    if kind != _SCV_STRING or length > len(value) - 8:
        return None
    try:
        return value[8 : 8 + length].decode("ascii")
    except UnicodeDecodeError:
        return None
