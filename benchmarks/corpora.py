"""The ledgers that every case is measured on, each as stored bytes and as uncompressed record-marked XDR."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from peers.stepping import split

import stellarrow as sa

REPOSITORY = Path(__file__).resolve().parent.parent
BUNDLED = REPOSITORY / "python" / "stellarrow" / "data" / "ledgers"
PUBNET = "Public Global Stellar Network ; September 2015"
# RFC 5531, section 11: this bit of a mark says that the fragment is the record's last.
LAST_FRAGMENT = 1 << 31
# LedgerCloseMetaBatch: startSequence, endSequence and the count, 4 bytes each, come before a single ledger.
BATCH_HEAD = 12


@dataclass(frozen=True, slots=True)
class Corpus:
    """One set of ledgers; `raw` is what every peer reads, `stored` is how the set was found, in zstd."""

    name: str
    what: str
    stored: Path
    raw: Path
    passphrase: str
    verify_chain: bool
    ledgers: int
    bytes: int
    unified: Path | None = None  # the same with events of all that moves tokens (CAP-67)

    @property
    def count(self) -> str:
        return "1 ledger" if self.ledgers == 1 else f"{self.ledgers:,} ledgers"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a corpus comes from and how its file is framed inside zstd."""

    name: str
    what: str
    file: str
    framing: str
    passphrase: str = PUBNET
    verify_chain: bool = True


SHARED = (
    Source("load-v27", "heavy ledgers of a load test", "load-v27.xdr.zstd", "marked", "Apply Load"),
    Source(
        "core-tests-a", "small ledgers of stellar-core's tests", "core-tests-a.xdr.zst", "marked",
        "(V) (;,,;) (V)", False,
    ),
)  # fmt: skip
ALWAYS = (
    Source("pubnet-58752000", "one busy pubnet ledger", "pubnet-58752000.xdr.zst", "single"),
    Source("pubnet-53312000", "one quiet pubnet ledger", "FCD285FF--53312000.xdr.zstd", "batch"),
)


def shared_ledgers() -> Path | None:
    """Return the folder of real test ledgers, too large for the repository, where there is one."""
    root = Path(os.environ.get("STELLARROW_SHARED") or REPOSITORY.parent / "shared")
    folder = root / "data" / "ledgers"
    return folder if all((folder / source.file).is_file() for source in SHARED) else None


def prepare(scratch: Path) -> Iterator[Corpus]:
    """Unpack every corpus into the scratch folder; without shared ledgers synthetic ones stand in."""
    folder = shared_ledgers()
    if folder is not None:
        yield from (unpack(source, folder, scratch) for source in SHARED)
    else:
        yield synthesize(scratch, "synthetic-heavy", ledgers=30, ledger_bytes=1_300_000)
        yield synthesize(scratch, "synthetic-small", ledgers=9_000, ledger_bytes=4_096)
    yield from (unpack(source, BUNDLED, scratch) for source in ALWAYS)


def unpack(source: Source, folder: Path, scratch: Path) -> Corpus:
    """Write a stored file's ledgers as uncompressed record-marked XDR."""
    stored = folder / source.file
    with pa.input_stream(stored, compression="zstd") as stream:
        data = stream.read()
    if source.framing == "batch":
        data = data[BATCH_HEAD:]
    if source.framing != "marked":
        data = marked(data)
    return corpus(source, stored, data, scratch)


def unified(corpus: Corpus, go: tuple[str, ...]) -> Corpus:
    """Add the fee events that the load test's core did not emit; the Go peer, where there is one, does it."""
    if corpus.name != "load-v27" or not go:
        return corpus
    path = corpus.raw.with_name(f"{corpus.name}-unified.xdr")
    with path.open("wb") as out:
        argv = [*go, "--file", str(corpus.raw), "--passphrase", corpus.passphrase, "--unify"]
        subprocess.run(argv, stdout=out, check=True)
    return replace(corpus, unified=path)


def synthesize(scratch: Path, name: str, *, ledgers: int, ledger_bytes: int) -> Corpus:
    """Make a run of seeded synthetic ledgers and store them in zstd as a lake would."""
    data = sa.synth(ledgers=ledgers, ledger_bytes=ledger_bytes, seed=1, network=PUBNET)
    stored = scratch / f"{name}.xdr.zst"
    with pa.output_stream(stored, compression="zstd") as stream:
        stream.write(data)
    what = f"synthetic ledgers of about {ledger_bytes / 1000:,.0f} KB"
    return corpus(Source(name, what, stored.name, "marked"), stored, data, scratch)


def marked(ledger: bytes) -> bytes:
    """Put a record mark before a single ledger."""
    return (len(ledger) | LAST_FRAGMENT).to_bytes(4, "big") + ledger


def corpus(source: Source, stored: Path, data: bytes, scratch: Path) -> Corpus:
    raw = scratch / f"{source.name}.xdr"
    raw.write_bytes(data)
    sizes = [len(ledger) for ledger in split(data)]
    return Corpus(
        name=source.name, what=source.what, stored=stored, raw=raw, passphrase=source.passphrase,
        verify_chain=source.verify_chain, ledgers=len(sizes), bytes=sum(sizes),
    )  # fmt: skip
