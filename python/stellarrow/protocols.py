"""The two seams: where ledgers come from, where batches go; and what a source may offer besides."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from stellarrow.ledgers import LedgerBatch, LedgerChunk, LedgerRange, LedgerSet, Network, RowCounts

if TYPE_CHECKING:
    import pyarrow as pa


@runtime_checkable
class Source(Protocol):
    """Where ledgers come from."""

    def available(self) -> LedgerSet:
        """Return the ledgers that can be read now; the last range is open where more may follow."""

    def network(self) -> Network | None:
        """Return the network the place itself tells, None where it tells none."""

    def read(self, ledgers: LedgerRange) -> Iterator[LedgerChunk]:
        """Yield every ledger of the range once, in order, without gaps.

        An open range goes on until the source ends or the caller stops. A ledger that is not there is
        LedgerMissing, at the latest when its turn comes; a place that cannot be read is another SourceError.
        """

    def close(self) -> None:
        """Let go of connections. A read that waits for the chain, in any thread, ends soon, without error."""


@runtime_checkable
class Measured(Protocol):
    """A source that knows how much it stores."""

    def stored_bytes(self, ledgers: LedgerSet) -> int:
        """Return how many bytes must be read for these ledgers."""


@runtime_checkable
class Listed(Protocol):
    """A source whose `available` may hide holes, and that can look for them."""

    def held(self, ledgers: LedgerSet) -> LedgerSet | None:
        """Return which of the ledgers are there, None where that cannot be listed."""


@runtime_checkable
class Searchable(Protocol):
    """A source that can find out its first and last ledger where `available` cannot tell."""

    def bounds(self) -> LedgerSet:
        """Return what is available, looked for where nothing lists it."""


@runtime_checkable
class Refetching(Protocol):
    """A source whose bytes may be damaged on their way here."""

    def refetch(self, chunk: LedgerChunk) -> LedgerChunk:
        """Fetch a chunk once more from where it lies, past any cache, in any thread while others read."""


@runtime_checkable
class Sink(Protocol):
    """Where batches go. The same ledgers written twice leave the same rows as written once."""

    def write(self, batch: LedgerBatch) -> None:
        """Take a batch, in ledger order; it may be buffered. What is already covered is dropped.

        The next batch may leave ledgers out: they stay a gap in the coverage. Rows the sink will never take
        are LedgersRefused, from here or from commit; it stays usable, and its coverage says what is there.
        """

    def commit(self) -> None:
        """Return once everything written is durable, data and coverage together."""

    def coverage(self) -> LedgerSet:
        """Return which ledgers are durably here, for every table: where to resume, what is missing."""

    def close(self) -> None:
        """Let go of everything; what was not committed may be lost, never half kept. Twice is harmless."""


@runtime_checkable
class Coding(Protocol):
    """A sink that may take texts that repeat as dictionaries."""

    @property
    def takes_dictionaries(self) -> bool:
        """Whether it does; any other sink gets plain texts."""


@dataclass(frozen=True, slots=True)
class Health:
    """What a sink found of its place: `message` says what, and where it is not well also what to do."""

    state: Literal["ok", "warning", "broken"]
    message: str
    latency_ms: float | None = None
    mb_per_s: float | None = None


@runtime_checkable
class Filing(Protocol):
    """A sink that writes files, and knows how many since it was opened."""

    @property
    def files_written(self) -> int:
        """How many files have become durable."""


@runtime_checkable
class Checked(Protocol):
    """A sink that can say whether it could be written to."""

    def health(self) -> Health:
        """Look at the place and its limits, without changing what it holds; a SinkError is broken too."""


@runtime_checkable
class Aged(Protocol):
    """A sink whose coverage has ledgers that are not there any more, as they were too old."""

    def left(self) -> tuple[LedgerSet, LedgerSet]:
        """Return the ledgers that were archived in any table, and those that were deleted."""


@runtime_checkable
class Shared(Protocol):
    """A sink that can tell whether another process is writing to its place."""

    def is_written_beside(self) -> bool:
        """Tell whether one is; where it cannot be told, none is."""


@runtime_checkable
class Divided(Protocol):
    """A sink that keeps ledgers in parts, such as files, which two writers had better not share."""

    @property
    def ledgers_per_part(self) -> int:
        """How many: a part begins where a ledger is a multiple of it."""


@runtime_checkable
class Named(Protocol):
    """A source that people know by a name without secrets."""

    @property
    def name(self) -> str:
        """The name, for messages."""


class ServerState(Protocol):
    """How calls to one server went; `net.resilience.Guard` is one."""

    @property
    def name(self) -> str:
        """What people call the server, without secrets."""

    @property
    def state(self) -> str:
        """`closed` while calls go through, `open` while none does, `half-open` while one is tried."""

    @property
    def last_error(self) -> Any:
        """What the last call that failed said, None where none did since."""


@runtime_checkable
class Guarded(Protocol):
    """A source or sink that calls servers through guards."""

    @property
    def guards(self) -> Sequence[ServerState]:
        """One for each server, for those who watch over them."""


@runtime_checkable
class Pingable(Protocol):
    """A source that cannot tell what it has, only whether it is there."""

    def ping(self) -> None:
        """Return once the server answers; a SourceError where it does not."""


@runtime_checkable
class Live(Protocol):
    """A source at the edge of the chain: its latest ledger has just closed."""

    @property
    def max_age_seconds(self) -> float:
        """How long ago the latest ledger may have closed before the source is behind."""


@runtime_checkable
class SourceKind(Protocol):
    """A class of sources, as the registry lists it; `options` is a `registry.SourceOptions`."""

    def open(self, url: str, options: Any) -> Source:
        """Open what a URL names, as a class method."""


@runtime_checkable
class SinkKind(Protocol):
    """A class of sinks, as the registry lists it; `options` is a `registry.SinkOptions`."""

    def open(self, url: str, tables: Sequence[str], options: Any) -> Sink:
        """Open what a URL names, as a class method. Nothing is asked of the place, nothing made there."""


@runtime_checkable
class Located(Protocol):
    """A class of sinks of which two must not share a place."""

    def root(self, url: str) -> str:
        """Return a name of the place that is the same however it is written, as a class method."""


@runtime_checkable
class Configured(Protocol):
    """A class of sinks whose URLs take options behind a question mark."""

    options: ClassVar[Mapping[str, str]]  # what each option means, by name


class HeldTable(Protocol):
    """A table that is there, whoever wrote it; `network` is a passphrase."""

    @property
    def name(self) -> str:
        """The table's name, without its version."""

    @property
    def version(self) -> str:
        """The version of the table's schema."""

    @property
    def network(self) -> str:
        """The passphrase of the network its ledgers are of."""

    @property
    def ledgers(self) -> LedgerSet:
        """The ledgers it covers, with rows or without."""

    def read(self, columns: Sequence[str], ledgers: LedgerRange) -> Iterator["pa.RecordBatch"]:
        """Yield columns of a range's rows, in ledger order."""


@runtime_checkable
class Counted(Protocol):
    """A table that counts its own rows, in one pass; of others, `ledger_sequence` is read."""

    def row_counts(self, ledgers: LedgerSet) -> Iterator[RowCounts]:
        """Yield counts of ranges in ledger order: of these ledgers at least, each range once."""


@runtime_checkable
class Typed(Protocol):
    """A table that knows its columns, so that `scan` can read it."""

    @property
    def schema(self) -> "pa.Schema":
        """The columns of its rows, in order."""


@runtime_checkable
class Forgetting(Protocol):
    """A class of sinks that can be made to write ledgers again, for `check --repair`."""

    def forget(self, url: str, table: str, ledgers: LedgerSet) -> None:
        """Remove a table's rows of ledgers and that they are covered, in one step, as a class method."""


@runtime_checkable
class Compacting(Protocol):
    """A class of sinks whose places `compact` tidies up."""

    def compact(self, url: str, ledgers_per_file: int) -> int:
        """Merge small files and remove what nobody reads; return how many files went, as a class method."""


@runtime_checkable
class Readable(Protocol):
    """A class of sinks whose places can be read back, by `coverage` and `extract --verify`."""

    def held(self, url: str) -> Sequence[HeldTable]:
        """Return the tables of a place, sorted, as a class method."""


@runtime_checkable
class Growing(Protocol):
    """A class of sinks whose typed tables get columns as contracts declare more."""

    def typed_columns(self, url: str) -> Mapping[str, "pa.Schema"]:
        """Return the columns that the typed tables of a place have, by name, as a class method."""
