"""Where SEP-54 puts a ledger: keys, partitions and the manifest, and how to tell a layout from names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from stellarrow.errors import ConfigError, SourceError
from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange, Network

MANIFEST: Final = ".config.json"  # beside the partitions; may be missing
SUFFIXES: Final = (".xdr.zst", ".xdr.zstd")  # the second in older lakes
MAX_LEDGERS_PER_FILE: Final = 64

# {0xFFFFFFFF - first:08X}--{first}[-{last}]: the newest sorts first.
_SPAN: Final = re.compile(r"([0-9A-F]{8})--(\d{1,10})(?:-(\d{1,10}))?", re.ASCII)
_PLAIN: Final = ".xdr"  # a file somebody unpacked


@dataclass(frozen=True, slots=True)
class Layout:
    """How a lake is divided: ledgers a file, files a partition; a partition of one file has no folder."""

    ledgers_per_file: int = 1
    files_per_partition: int = 64_000
    suffix: str = SUFFIXES[0]

    def __post_init__(self) -> None:
        if not 1 <= self.ledgers_per_file <= LAST_POSSIBLE:
            raise ConfigError(f"{self.ledgers_per_file} ledgers a file makes no sense: choose 1 or more")
        if not 0 <= self.files_per_partition <= LAST_POSSIBLE:
            raise ConfigError(
                f"{self.files_per_partition} files a partition makes no sense: choose 1 or more"
            )
        if self.suffix not in SUFFIXES:
            raise ConfigError(
                f"{self.suffix!r} is no ending of a lake's files: choose {' or '.join(SUFFIXES)}"
            )

    @property
    def partitioned(self) -> bool:
        return self.files_per_partition > 1

    @property
    def partition_length(self) -> int:
        """How many ledgers a partition has."""
        return self.ledgers_per_file * max(1, self.files_per_partition)

    def __str__(self) -> str:
        partitions = (
            f"{self.files_per_partition:,} files a partition" if self.partitioned else "no partitions"
        )
        return f"{self.ledgers_per_file} a file, {partitions}"

    def file(self, ledger: int) -> LedgerRange:
        """Return the ledgers of the file that holds a ledger."""
        return _span(ledger, self.ledgers_per_file)

    def partition(self, ledger: int) -> LedgerRange:
        """Return the ledgers of the partition that holds a ledger."""
        return _span(ledger, self.partition_length)

    def folder(self, ledger: int) -> str:
        """Return the partition's folder, with its slash; nothing where there are none."""
        if not self.partitioned:
            return ""
        partition = self.partition(ledger)
        return f"{_inverted(partition.first)}--{partition.first}-{partition.end}/"

    def key(self, ledger: int) -> str:
        """Return the key of the file that holds a ledger."""
        file = self.file(ledger)
        span = f"{file.first}-{file.end}" if self.ledgers_per_file > 1 else str(file.first)
        return f"{self.folder(ledger)}{_inverted(file.first)}--{span}{self.suffix}"

    def files(self, ledgers: LedgerRange) -> Iterator[LedgerRange]:
        """Yield the ledgers of each file that a range touches, in ledger order."""
        first = self.file(ledgers.first).first
        for start in range(first, ledgers.end + 1, self.ledgers_per_file):
            yield self.file(start)


def ledgers_named(name: str) -> LedgerRange | None:
    """Return the ledgers a lake's file holds by its name; None where the name is not of a lake."""
    for suffix in (*SUFFIXES, _PLAIN):
        if name.endswith(suffix):
            return _read_span(name.removesuffix(suffix))
    return None


def partition_named(name: str) -> LedgerRange | None:
    """Return the ledgers of a partition by its folder's name; None where it is none."""
    span = _read_span(name)
    return span if span and "-" in name.partition("--")[2] else None


def manifest(layout: Layout, network: Network) -> bytes:
    """Return what `.config.json` says, in the same bytes each time."""
    return json.dumps(
        {
            "networkPassphrase": network.passphrase,
            "version": "1.0",
            "compression": "zstd",
            "ledgersPerBatch": layout.ledgers_per_file,
            "batchesPerPartition": layout.files_per_partition,
        }
    ).encode()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a lake says of itself; layout is None where it does not tell how it is divided."""

    network: Network
    layout: Layout | None

    @classmethod
    def read(cls, content: bytes, *, where: str) -> Manifest:
        """Read `.config.json`; `where` names it in errors."""
        try:
            answer = json.loads(content)
            passphrase = str(answer["networkPassphrase"]).strip()
            compression = str(answer.get("compression", "zstd"))
        except (ValueError, KeyError, TypeError, AttributeError):
            passphrase = compression = ""
        if not passphrase:
            raise SourceError(f"{where} names no networkPassphrase (SEP-54): fix it, or remove it")
        if compression != "zstd":
            raise SourceError(
                f"{where} names the compression {compression!r}: SEP-54 knows zstd alone, fix it"
            )
        if "ledgersPerBatch" not in answer or "batchesPerPartition" not in answer:
            return cls(Network.from_passphrase(passphrase), None)
        try:
            layout = Layout(int(answer["ledgersPerBatch"]), int(answer["batchesPerPartition"]))
        except (ValueError, TypeError) as error:
            raise SourceError(f"{where} tells no layout that SEP-54 knows ({error}): fix it") from error
        return cls(Network.from_passphrase(passphrase), layout)


def detect(keys: Iterable[str]) -> Layout | None:
    """Tell a layout from keys of files; None where none of them does."""
    for key in keys:
        folder, _, name = key.rpartition("/")
        suffix = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)
        file, partition = ledgers_named(name), partition_named(folder) if folder else None
        if suffix is None or file is None or (folder and partition is None):
            continue
        if file.end == LAST_POSSIBLE or (partition and partition.end == LAST_POSSIBLE):
            continue  # cut short, they do not tell how long the others are
        found = Layout(file.count, partition.count // file.count if partition else 1, suffix)
        if found.key(file.first) == key:
            return found
    return None


def _span(ledger: int, length: int) -> LedgerRange:
    first = ledger // length * length
    return LedgerRange(first, min(first + length - 1, LAST_POSSIBLE))


def _inverted(ledger: int) -> str:
    return f"{LAST_POSSIBLE - ledger:08X}"


def _read_span(text: str) -> LedgerRange | None:
    match = _SPAN.fullmatch(text)
    if not match:
        return None
    first, last = int(match[2]), int(match[3] or match[2])
    if int(match[1], 16) != LAST_POSSIBLE - first or not first <= last <= LAST_POSSIBLE:
        return None
    return LedgerRange(first, last)
