"""Golden rows: what the chain's own Go SDK says of real ledgers, and how its names become ours."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

import stellarrow as sa
from stellarrow.core.framing import sequences

Row = dict[str, Any]

REPOSITORY: Final = Path(__file__).resolve().parents[2]
PUBNET: Final = "Public Global Stellar Network ; September 2015"
CORE_TESTS: Final = "(V) (;,,;) (V)"
PACKAGED: Final = REPOSITORY / "python" / "stellarrow" / "data" / "ledgers"
CUT: Final = REPOSITORY / "tests" / "data" / "ledgers"


@dataclass(frozen=True, slots=True)
class Corpus:
    """Ledgers of which the rows are known."""

    name: str
    file: str
    passphrase: str = PUBNET
    bundled: Path | None = None
    """The repository's own folder with their file; None where only the shared folder has it."""
    consecutive: bool = True
    most: int | None = None
    """How many ledgers, from the first on, the golden rows are of."""

    def __str__(self) -> str:
        return self.name

    def ledgers(self, shared: Path | None) -> bytes:
        folder = shared / "data" / "ledgers" if shared else self.bundled or PACKAGED
        return (folder / self.file).read_bytes()

    def golden(self, table: str, shared: Path | None) -> list[Row]:
        """Return the table's golden rows; no file means no rows."""
        if shared:
            path = shared / "golden" / self.name / f"{table}.jsonl.zst"
        else:
            path = REPOSITORY / "tests" / "golden" / table / f"{self.name}.jsonl.zst"
        if not path.exists():
            return []
        with pa.input_stream(path, compression="zstd") as lines:
            return [json.loads(line) for line in lines.read().splitlines()]


CORPORA: Final = (
    Corpus("pub53312000", "FCD285FF--53312000.xdr.zstd", bundled=PACKAGED),
    Corpus("pub58752000", "pubnet-58752000.xdr.zst", bundled=PACKAGED),
    Corpus("core-tests-cut", "core-tests-cut.xdr.zst", CORE_TESTS, bundled=CUT, consecutive=False),
    Corpus("pubhist", "pubnet-historic.base64.txt", consecutive=False),
    Corpus("core-tests-a", "core-tests-a.xdr.zst", CORE_TESTS, consecutive=False),
    Corpus("load-v23", "load-v23.xdr.zstd", "Standalone Network ; February 2017", consecutive=False),
    Corpus("load-v27", "load-v27.xdr.zstd", "Apply Load", most=3),
)


@dataclass(frozen=True, slots=True)
class Known:
    """A corpus at hand: its ledgers, and its golden rows by table."""

    corpus: Corpus
    shared: Path | None

    @property
    def passphrase(self) -> str:
        return self.corpus.passphrase

    def golden(self, table: str) -> list[Row]:
        return self.corpus.golden(table, self.shared)

    def decode(self, table: str, **choices: Any) -> list[Row]:
        """Return our rows of the ledgers that the golden rows are of."""
        data = self.corpus.ledgers(self.shared)
        if self.corpus.most is not None:
            numbers = sequences(data)[: self.corpus.most]
            choices["ledgers"] = sa.LedgerRange(numbers[0], numbers[-1])
        batches = sa.decode(
            data, [table], network=self.passphrase, verify_chain=self.corpus.consecutive, **choices
        )
        batches[table].validate(full=True)
        rows: list[Row] = batches[table].to_pylist()
        return rows


def compare(ours: list[Row], golden: list[Row], *, untold: Collection[str] = ()) -> None:
    """Check that rows say what the golden ones do in all columns, but for those the golden ones do not tell.

    The golden rows leave some columns out where they are null.
    """
    assert len(ours) == len(golden)
    for number, (row, expected) in enumerate(zip(ours, golden, strict=True)):
        report = {column: value for column, value in row.items() if column not in untold}
        assert report == dict.fromkeys(report) | expected, f"row {number}"


def renamed(rows: list[Row], rename: Callable[[Row], Row]) -> list[Row]:
    """Return golden rows in the words of our tables, moments as they come out of Arrow."""
    return [rename(row) for row in rows]


def short(name: str | None, prefix: str) -> str | None:
    """Return the Go SDK's name of an enum's value without the enum's, in lower snake case."""
    if name is None:
        return None
    assert name.startswith(prefix), name
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.removeprefix(prefix)).lower()


def change_type(row: Row) -> str | None:
    return short(row["change_type"], "LedgerEntryChangeTypeLedgerEntry")


def native_contract(passphrase: str) -> str:
    """Return the strkey of the contract of lumens on a network (CAP-46-02)."""
    network = hashlib.sha256(passphrase.encode()).digest()
    envelope_type, from_asset, native = (number.to_bytes(4, "big") for number in (8, 1, 0))
    contract = hashlib.sha256(envelope_type + network + from_asset + native).digest()
    payload = bytes([2 << 3]) + contract
    checksum = binascii.crc_hqx(payload, 0).to_bytes(2, "little")
    return base64.b32encode(payload + checksum).decode()
