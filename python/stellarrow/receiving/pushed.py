"""A batch that a producer pushes, and what it says of it; every mistake is told in a sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.errors import ConfigError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.net.bounded_json import JsonObject

_KEYS: Final = ("first_ledger", "last_ledger", "producer", "sequence", "begins", "left_out", "network")
_LARGEST: Final = 1 << 20  # bytes of what a batch says of itself
_NAME: Final = 200  # characters of a producer's
_LEDGER: Final = "ledger_sequence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """All rows of the ledgers first to last; `sequence` counts the producer's batches.

    `begins` is the first ledger of the producer's work, `left_out` those in it that it will never have: with
    both, what lacks is known whatever came before. `network` is a passphrase, empty where it is not told.
    """

    first: int
    last: int
    producer: str
    sequence: int
    begins: int = 0
    left_out: LedgerSet = field(default_factory=LedgerSet)
    network: str = ""
    rows: pa.RecordBatch = field(repr=False)

    @property
    def ledgers(self) -> LedgerSet:
        return LedgerSet([LedgerRange(self.first, self.last)])

    def acknowledged(self) -> dict[str, object]:
        """Return what a producer is told once it is durable."""
        return {
            "first_ledger": self.first,
            "last_ledger": self.last,
            "producer": self.producer,
            "sequence": self.sequence,
        }


def read(metadata: bytes, rows: pa.RecordBatch) -> Pushed:
    """Read what comes with a batch; ConfigError where it does not fit the rows, or is missing."""
    asked = JsonObject.read(metadata or b"{}", "app_metadata", keys=_KEYS, largest=_LARGEST)
    first, last, producer = asked.ledger("first_ledger"), asked.ledger("last_ledger"), asked.text("producer")
    if not first or last < first:
        raise ConfigError(f"app_metadata says ledgers {first} to {last}: name first_ledger and last_ledger")
    if not producer or len(producer) > _NAME:
        raise ConfigError(f"app_metadata needs a producer, a name of at most {_NAME} characters")
    left_out = asked.text("left_out")
    _check_rows(rows, first, last)
    return Pushed(
        first=first,
        last=last,
        producer=producer,
        sequence=asked.count("sequence"),
        begins=asked.ledger("begins"),
        left_out=LedgerSet.parse(left_out) if left_out else LedgerSet(),
        network=asked.text("network"),
        rows=rows,
    )


def _check_rows(rows: pa.RecordBatch, first: int, last: int) -> None:
    """Refuse rows of other ledgers than the batch is said to be of, or out of order."""
    ledgers = rows.column(_LEDGER)
    if not len(ledgers):
        return
    if len(ledgers) > 1 and not pc.all(pc.greater_equal(ledgers[1:], ledgers[:-1])).as_py():
        raise ConfigError(f"the rows of ledgers {first} to {last} are not in the order of their ledgers")
    found = ledgers[0].as_py(), ledgers[-1].as_py()
    if found[0] < first or found[1] > last:
        raise ConfigError(f"the batch is said to be of ledgers {first} to {last}, and has rows of {found}")
