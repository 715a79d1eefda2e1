"""The Rust core. Only `stellarrow.core.decode` imports it."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, final, type_check_only

__all__ = [
    "DEBUG_BUILD",
    "CoreError",
    "Figures",
    "Gathered",
    "Gatherer",
    "Knowledge",
    "Options",
    "Order",
    "Run",
    "Splitter",
    "Synth",
    "TextFilters",
    "TypedPlan",
    "__version__",
    "crc32",
    "csv_text",
    "cut",
    "decode",
    "describe",
    "event_words",
    "few_rows",
    "frame",
    "framing",
    "json_text",
    "keys",
    "may_hold",
    "meta_json",
    "schema",
    "sequences",
    "spec_json",
    "spec_status",
    "stream",
    "tables",
    "text_size",
    "unescape",
]

__version__: Final[str]
DEBUG_BUILD: Final[bool]

class CoreError(Exception):
    """What the core refuses: args are (kind, message, ledger, path, offset).

    kind is one of "decode", "network", "chain", "config".
    """

@type_check_only
class RecordBatch:
    """One table's rows; exports __arrow_c_array__."""
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...
    def __arrow_c_schema__(self) -> object: ...

@type_check_only
class Schema:
    """A table's schema; exports __arrow_c_schema__."""
    def __arrow_c_schema__(self) -> object: ...

@final
class Options:
    """What to decode and how: checked once, then reused for any number of calls, from any thread."""
    def __new__(
        cls,
        tables: Sequence[str],
        *,
        passphrase: str,
        contract_ids: Sequence[str] = ...,
        asset_codes: Sequence[str] = ...,
        asset_issuers: Sequence[str] = ...,
        event_names: Sequence[str] = ...,
        event_types: Sequence[str] = ...,
        accounts: Sequence[str] = ...,
        include_deleted: bool = True,
        diagnostics: bool = False,
        decoded: bool = False,
        transfers: str = "derive",
        verify_chain: bool = True,
        dictionaries: bool = False,
    ) -> Options: ...

@final
class Run:
    """The ledgers one call decoded: how many, which, and the hashes that link them to their neighbours."""

    count: int
    first: int
    last: int
    first_closed_at: int  # unix seconds
    last_closed_at: int
    previous_hash: str  # of the ledger before the first
    last_hash: str
    size_bytes: int  # XDR bytes, uncompressed
    transactions: int

def decode(
    data: Any,
    options: Options,
    framing: str = "auto",
    ledgers: tuple[int, int] | None = None,
    verify_hashes: bool = False,
) -> tuple[list[RecordBatch], Run | None]:
    """Decode bytes-like data, or a list of such, to one batch a table, in the order the options name them.

    Only ledgers from the first to the last of `ledgers` are decoded; None when none was in range. `verify_hashes`
    checks transaction sets and results against what the headers commit to.
    """

def sequences(data: Any, framing: str = "auto") -> list[int]:
    """Return the sequence of each ledger in the data, in the order they lie there, without decoding them."""

def cut(data: Any, framing: str = "auto") -> tuple[Any | None, str, list[tuple[int, int, int]]]:
    """Return where ledgers lie, none copied.

    That is what they lie in, with the buffer protocol, None where it is the data itself, its framing, and each
    ledger's sequence, begin and end there.
    """

def framing(data: Any) -> str:
    """Return the framing found in the data, such as "batch" or "record-marked"."""

def crc32(data: Any, value: int = 0) -> int:
    """Return the CRC-32 of bytes or of an Arrow array of uint8, as zlib.crc32 does, without a copy."""

def tables() -> list[tuple[str, str, str]]:
    """Return (name, version, one line of description) of every table, oldest version first."""

@type_check_only
class Stream:
    """A pass over batches; exports __arrow_c_stream__."""
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

def stream(schema: Any, batches: Iterator[Any]) -> Stream: ...
def schema(table: str, decoded: bool = False) -> Schema: ...
def keys(table: str) -> list[str]: ...
def event_words(table: str) -> list[str]: ...
def spec_json(code: Any) -> str | None:
    """Return a contract's interface (SEP-48) out of its WebAssembly as a JSON array of SCSpecEntry, if it has a sound one."""

def spec_status(code: Any) -> str:
    """Return what became of the interface in a contract's WebAssembly: read, absent, malformed or newer."""

def meta_json(code: Any) -> str | None:
    """Return a contract's meta (SEP-46) out of its WebAssembly as a JSON array of SCMetaEntry, if it has a sound one."""

def describe(scval: str) -> str:
    """Say a base64 ScVal in words."""

def unescape(text: str) -> bytes | None:
    """Return the bytes that a text of the chain stands for, None where no bytes are written so."""

@type_check_only
class Text:
    """Bytes, read where they lie through the buffer protocol."""
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

def json_text(batch: Any, end: str) -> Text | None:
    """Return an object of JSON a row, with `end` behind each; None where a column is of a type that no table has."""

def csv_text(batch: Any) -> Text | None:
    """Return a line of CSV a row, without a header; None where a column is of a type that no table has."""

def may_hold(filter: Any, text: str) -> bool:
    """Tell whether a text may be among those that a filter was made of."""

def few_rows(
    data: Any,
    schema: Any,
    chunks: Sequence[tuple[int, int, str, int, bool, str] | None],
    rows: int,
    terms: Sequence[Sequence[Sequence[tuple[Sequence[int], str]]]],
    most: int,
) -> Any | None:
    """Return the rows of a Parquet row group that every term is true of, at most so many; None where Arrow must.

    A chunk is where a column lies in the data, how long it is, its physical type, a value's length, whether it
    is nullable, and its codec; None where there is no such column. A term holds where one of its alternatives
    does, and that has texts which a row must all have, each in one of some columns (by their places).
    """

def text_size(batch: Any) -> int:
    """Return how many bytes of text and binary values rows hold; of dictionaries as many as plain ones would."""

@final
class Gatherer:
    """Takes batches in, whose rows are put in another order; columns of dictionaries take plain texts, too."""
    def __new__(cls, schema: Any, sort_by: str | None = None) -> Gatherer: ...
    def append(self, batch: Any) -> None:
        """Take in a batch's rows; ValueError where it has other columns."""
    def fit(self, batch: Any, rows: int, text: int) -> int | None:
        """Take in fewer rows, of less text than so many bytes, and return how many bytes; None where they are not."""
    def take(self) -> Gathered:
        """Hand over all rows, and begin anew."""

@final
class Gathered:
    """All rows of some batches."""
    def __len__(self) -> int: ...
    def order(self, sort_by: str | None = None, places: Any = None) -> Order:
        """Put rows in order by places, a batch of one column of uint32, then by a column; ties stay as they are."""

@final
class Order:
    """Rows in an order."""

    ends: list[int]  # where the rows of each place end
    def block(self, start: int, stop: int, names: Sequence[str] | None = None) -> RecordBatch:
        """Return rows from start to stop, of all columns or some; dictionaries hold what the rows need alone."""

@final
class TextFilters:
    """Make split-block Bloom filters of batches that follow each other; dictionaries they share are hashed once."""
    def __new__(cls) -> TextFilters: ...
    def filter(self, batch: Any) -> bytes | None:
        """Return the filter of every text in a batch; None where a column is no text."""

@final
class Splitter:
    """Cut a stream of stored bytes into pieces of whole ledgers without holding more than one piece: feed, then finish."""
    def __new__(cls, framing: str = "auto", piece_bytes: int = 33554432) -> Splitter: ...
    def feed(self, data: bytes) -> list[Any]: ...  # each with the buffer protocol
    def finish(self) -> list[Any]: ...
    framing: str  # of the pieces

@final
class Synth:
    """An endless run of valid synthetic ledgers: iterate for LedgerCloseMeta XDR, one a ledger."""
    def __new__(
        cls, *, seed: int, first: int, contracts: int, ledger_bytes: int | None, passphrase: str
    ) -> Synth: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def __next__(self) -> bytes: ...

def frame(ledgers: Sequence[bytes], framing: str, compression_level: int | None = None) -> bytes:
    """Put LedgerCloseMeta values into a framing, zstd-compressed when a level is given."""

@final
class Figures:
    """Figures over time windows, kept while rows come; any thread may ask while one counts.

    Tables are ledgers, token_transfers, contract_events and contract_data; windows 1m, 5m, 1h, 24h, 7d and
    total. With `only` no other key is told apart; `keeps_all` keeps every window, not the latest alone.
    ValueError where a batch is no part of its table, or bytes are not what `saved` returned.
    """
    def __new__(
        cls, most_keys: int, most_bytes: int, only: str | None = None, keeps_all: bool = False
    ) -> Figures: ...
    def feed(self, tables: list[tuple[str, Any]], ledger: int, closed_at: int) -> None:
        """Count the rows of whole ledgers, the last of which closed at a time in Unix seconds."""
    def ledgers(self, table: str) -> tuple[int, int]: ...
    def ask(
        self, questions: list[tuple[str, str, str | None, tuple[str, int] | None]]
    ) -> list[tuple[RecordBatch, tuple[int, int]]]:
        """Answer, all at one moment, each with the first and last ledger of its table that are counted then.

        A question is a table, a window, and a key, or none for all together; or what the foremost keys are
        ordered by, and how many.
        """
    def limit(self, most_bytes: int) -> None: ...
    def saved(self) -> bytes: ...
    def restore(self, data: bytes) -> None: ...
    @property
    def bytes(self) -> int: ...

@final
class Knowledge:
    """What is known of contracts; any thread may ask while one learns.

    Contracts are strkeys, hashes of code hex; None instead of one is the Stellar Asset Contract.
    """
    def __new__(cls, targets: Sequence[str]) -> Knowledge: ...
    def learn(
        self,
        data: Any,
        passphrase: str,
        framing: str = "auto",
        ledgers: tuple[int, int] | None = None,
        verify_chain: bool = True,
    ) -> None: ...
    def add_code(self, hash: str, code: Any) -> None: ...
    def pin(self, contract: str, hash: str | None) -> None: ...
    def note(self, contract: str, ledger: int, hash: str | None) -> None: ...
    def sample(self, contract: str, items: Sequence[tuple[bytes, bytes | None]]) -> None: ...
    def history(self, contract: str) -> list[tuple[int | None, str | None]]: ...
    def seed(self, name: str, columns: Schema, interfaces: str) -> None: ...
    def freeze(self) -> None: ...
    @property
    def changes(self) -> int: ...
    def missing(self) -> list[str]: ...
    def plan(self) -> TypedPlan: ...

@final
class TypedPlan:
    """Typed tables, compiled; any number of threads may decode with it."""
    def tables(self) -> list[tuple[str, str, list[str]]]: ...
    def schema(self, place: int) -> Schema: ...
    def own(self, place: int) -> Schema: ...
    @property
    def lacking(self) -> list[tuple[str, str]]: ...
    def decode(
        self,
        data: Any,
        names: Sequence[str],
        passphrase: str,
        framing: str = "auto",
        ledgers: tuple[int, int] | None = None,
        verify_chain: bool = True,
        verify_hashes: bool = False,
    ) -> tuple[list[RecordBatch | None], Run | None]: ...
    def rows(
        self,
        contract: str,
        names: Sequence[str],
        protocol: int,
        events: Sequence[tuple[list[bytes], bytes]],
        items: Sequence[tuple[bytes, bytes | None]],
    ) -> list[RecordBatch | None]: ...
