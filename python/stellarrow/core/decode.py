"""The one door to the Rust core: bytes in, Arrow out, its errors translated."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from stellarrow import _core
from stellarrow.errors import (
    ChainBroken,
    ConfigError,
    DecodeError,
    NetworkMismatch,
    SourceError,
    StellarrowError,
)
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerBatch, LedgerChunk, LedgerRange, LedgerRun, Network
from stellarrow.sql import compile_sql

if TYPE_CHECKING:
    from stellarrow.sql.computation import Computation

__version__ = _core.__version__

if _core.DEBUG_BUILD:
    warnings.warn(
        "stellarrow's core is a debug build, many times slower: build it with `maturin develop --release`",
        RuntimeWarning,
        stacklevel=2,
    )


@dataclass(frozen=True, slots=True)
class Table:
    """One table's name, version and purpose."""

    name: str
    version: str
    description: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def tables() -> list[Table]:
    """Return every table, each version on its own, the newest version of a name last."""
    return [Table(*row) for row in _core.tables()]


def table(name: str) -> Table:
    """Return the table meant by `name` or `name@version`; the newest version by default."""
    known = tables()
    for one in reversed(known):
        if name in (one.name, str(one)):
            return one
    names = list(dict.fromkeys([one.name for one in known] + [str(one) for one in known]))
    raise ConfigError(f"there is no table {name!r}: {_nearest(name, names)}")


def schema(name: str, *, decoded: bool = False, where: Filter | str | None = None) -> pa.Schema:
    """Return a table's Arrow schema, or what `where` makes of it; metadata has descriptions and version."""
    if made := _compiled(name, Filter.of(where), decoded=decoded):
        return made.schema
    made = pa.schema(_core.schema(str(table(name)), decoded))
    # Metadata comes out of hash maps, in another order each time; what is written from it shall not differ.
    columns = [field.with_metadata(_ordered(field.metadata)) for field in made]
    return pa.schema(columns, metadata=_ordered(made.metadata))


def _compiled(name: str, where: Filter, *, decoded: bool) -> Computation | None:
    if not (where.where or where.select):
        return None
    columns, whole = schema(name, decoded=decoded), schema(name, decoded=True)
    return compile_sql(table(name).name, columns, where, whole=whole)


def _ordered(metadata: dict[bytes, bytes] | None) -> dict[bytes, bytes]:
    return dict(sorted((metadata or {}).items()))


def keys(name: str) -> list[str]:
    """Return the columns that make a table's row unique for ever."""
    return _core.keys(str(table(name)))


class Batches(dict[str, pa.RecordBatch]):
    """Record batches under the names they were asked by; `name` and `name@version` both find them."""

    def __missing__(self, name: str) -> pa.RecordBatch:
        for asked in self:
            if _same_table(asked, name):
                return self[asked]
        raise KeyError(name)


def _same_table(asked: str, name: str) -> bool:
    try:
        return table(asked) == table(name)
    except ConfigError:
        return False


def decode(
    data: Any,
    tables: Sequence[str],
    *,
    network: str | Network = "pubnet",
    framing: str = "auto",
    ledgers: LedgerRange | None = None,
    where: Filter | str | None = None,
    decoded: bool = False,
    diagnostics: bool = False,
    transfers: str = "derive",
    verify_chain: bool = True,
) -> Batches:
    """Decode bytes-like ledgers into one record batch a table, as many rows as the ledgers have.

    `framing` is `auto`, `batch`, `single`, `record-marked` or `base64-lines`, each plain or in zstd.
    `where` is a Filter, or a condition in SQL such as `amount_raw > 10000000`.
    `decoded` adds the columns made on request: values as XDR-JSON (SEP-51), code and its interface (SEP-48).
    `diagnostics` adds diagnostic events to the events. Threads may call it at once: the GIL is released.
    `transfers` says what token_transfers are read from: `derive`, operations, results and contract events;
    `unified`, the events of CAP-67 alone, an error where a ledger has none.
    """
    choice = _Choice(
        tables,
        network=network,
        where=where,
        decoded=decoded,
        diagnostics=diagnostics,
        transfers=transfers,
        verify_chain=verify_chain,
    )
    return choice.decode(data, framing, ledgers)[0]


class Decoder:
    """Decode chunk after chunk with the same choices, from any thread."""

    def __init__(
        self,
        tables: Sequence[str],
        *,
        network: str | Network,
        where: Filter | str | None = None,
        decoded: bool = False,
        transfers: str = "derive",
        verify_chain: bool = True,
    ) -> None:
        self._choice = _Choice(
            tables,
            network=network,
            where=where,
            decoded=decoded,
            diagnostics=False,
            transfers=transfers,
            verify_chain=verify_chain,
        )

    def __call__(self, chunk: LedgerChunk) -> LedgerBatch:
        """Decode a chunk; SourceError where it does not hold exactly the ledgers it says."""
        wanted = LedgerRange(chunk.first, chunk.last)
        batches, run = self._choice.decode(chunk.data, chunk.framing, wanted, place=chunk.where)
        if run is None or (run.first, run.last, run.count) != (chunk.first, chunk.last, wanted.count):
            held = f"{run.count} ledgers from {run.first} to {run.last}" if run else "none of them"
            raise SourceError(
                f"{chunk.where} should hold the ledgers {wanted} but holds {held}: fetch it again"
            )
        return LedgerBatch(chunk.first, chunk.last, batches, run)


class _Choice:
    """What to decode: names resolved once, the core's options made for a framing and range."""

    def __init__(
        self,
        asked: Sequence[str],
        *,
        network: str | Network,
        where: Filter | str | None,
        decoded: bool,
        diagnostics: bool,
        transfers: str,
        verify_chain: bool,
    ) -> None:
        if isinstance(asked, str) or not asked:
            raise ConfigError(f"tables is {asked!r}: give a list of names, such as ['contract_events']")
        self._places = {name: str(table(name)) for name in asked}
        self._names = list(dict.fromkeys(self._places.values()))
        chosen = Filter.of(where)
        computed = {name: _compiled(name, chosen, decoded=decoded) for name in self._names}
        self._computations = {name: one for name, one in computed.items() if one}
        # What one table may drop before, all must be able to spare: they share the walk.
        pushed = {one.filter for one in self._computations.values()}
        where = pushed.pop() if len(pushed) == 1 else chosen
        try:
            self._options = _core.Options(
                self._names,
                passphrase=Network.of(network).passphrase,
                contract_ids=where.contract_ids,
                asset_codes=where.asset_codes,
                asset_issuers=where.asset_issuers,
                event_names=where.event_names,
                event_types=where.event_types,
                accounts=where.accounts,
                include_deleted=where.include_deleted,
                diagnostics=diagnostics,
                decoded=decoded,
                transfers=transfers,
                verify_chain=verify_chain,
            )
        except _core.CoreError as error:
            raise _translated(error) from error

    def decode(
        self, data: Any, framing: str, ledgers: LedgerRange | None, *, place: str | None = None
    ) -> tuple[Batches, LedgerRun | None]:
        wanted = (ledgers.first, ledgers.end) if ledgers else None
        try:
            batches, run = _core.decode(_bytes_like(data), self._options, framing, wanted)
        except _core.CoreError as error:
            raise _translated(error, place) from error
        made = dict(zip(self._names, map(pa.record_batch, batches), strict=True))
        for name, compute in self._computations.items():
            made[name] = compute(made[name])
        return Batches({asked: made[name] for asked, name in self._places.items()}), _run(
            run
        ) if run else None


def _run(run: _core.Run) -> LedgerRun:
    return LedgerRun(
        run.count,
        run.first,
        run.last,
        run.first_closed_at,
        run.last_closed_at,
        run.previous_hash,
        run.last_hash,
        run.size_bytes,
        run.transactions,
    )


def sequences(data: Any, framing: str = "auto", *, place: str | None = None) -> list[int]:
    """Return each ledger's sequence in the order they lie there, without decoding them."""
    try:
        return _core.sequences(_bytes_like(data), framing)
    except _core.CoreError as error:
        raise _translated(error, place) from error


def framing(data: Any, *, place: str | None = None) -> str:
    """Return the framing found in the data, such as `batch`."""
    try:
        return _core.framing(_bytes_like(data))
    except _core.CoreError as error:
        raise _translated(error, place) from error


def split(
    stream: Iterable[bytes], *, piece_bytes: int | None, framing: str = "auto", place: str | None = None
) -> Iterator[tuple[bytes, str]]:
    """Cut a stream of stored bytes into pieces of whole ledgers, uncompressed, each with its framing.

    Pieces have at least `piece_bytes`, except the last; no more than one is held. Where that is None, a piece
    is what a block of the stream completes. `framing` is the stream's.
    """
    try:
        splitter = _core.Splitter(framing, piece_bytes or 1)
        for block in chain(stream, [None]):
            pieces = splitter.finish() if block is None else splitter.feed(block)
            if piece_bytes is None:
                pieces = [b"".join(pieces)] if pieces else []  # record-marked ledgers can be put together
            for piece in pieces:
                yield piece, splitter.framing
    except _core.CoreError as error:
        raise _translated(error, place) from error


def stream(schema: pa.Schema, batches: Iterator[pa.RecordBatch], requested: object | None) -> object:
    """Return batches as an Arrow C stream; what goes wrong is told to its reader by the message alone."""
    return _core.stream(schema, batches).__arrow_c_stream__(requested)


def spec_json(code: Any) -> str | None:
    """Return a contract's interface (SEP-48) in its code, a JSON array of SCSpecEntry, if there is one."""
    return _core.spec_json(_bytes_like(code))


def meta_json(code: Any) -> str | None:
    """Return a contract's meta (SEP-46) in its code, a JSON array of SCMetaEntry, if there is one."""
    return _core.meta_json(_bytes_like(code))


def describe(scval: str) -> str:
    """Say a base64 ScVal in words."""
    try:
        return _core.describe(scval)
    except _core.CoreError as error:
        raise _translated(error) from error


def synth(
    ledgers: int = 1000,
    contracts: int = 2000,
    *,
    seed: int = 1,
    first: int = 2,
    ledger_bytes: int | None = None,
    network: str | Network = "synthetic",
) -> bytes:
    """Make valid ledgers, record-marked; the same arguments make the same bytes."""
    endless = synthetic(contracts, seed=seed, first=first, ledger_bytes=ledger_bytes, network=network)
    return frame(list(islice(endless, ledgers)), "record-marked")


def synthetic(
    contracts: int = 2000,
    *,
    seed: int = 1,
    first: int = 2,
    ledger_bytes: int | None = None,
    network: str | Network = "synthetic",
) -> Iterator[bytes]:
    """Return an endless run of valid LedgerCloseMeta values, about `ledger_bytes` each."""
    try:
        passphrase = Network.of(network).passphrase
        return _core.Synth(
            seed=seed, first=first, contracts=contracts, ledger_bytes=ledger_bytes, passphrase=passphrase
        )
    except _core.CoreError as error:
        raise _translated(error) from error


def frame(ledgers: Sequence[bytes], framing: str, *, compression_level: int | None = None) -> bytes:
    """Put LedgerCloseMeta values into a framing, zstd-compressed where a level is given."""
    try:
        return _core.frame(ledgers, framing, compression_level)
    except _core.CoreError as error:
        raise _translated(error) from error


def _bytes_like(data: Any) -> Any:
    if isinstance(data, bytes):
        return data
    try:
        return memoryview(data).cast("B")
    except TypeError as error:
        kind = type(data).__name__
        raise ConfigError(f"the data is a {kind}, not contiguous bytes: read the file first") from error


def _translated(error: _core.CoreError, place: str | None = None) -> StellarrowError:
    kind, message, ledger, path, offset = error.args
    told = f"{place}: {message}" if place else str(message)
    if kind == "decode":
        return DecodeError(told, ledger=ledger, path=path, offset=offset)
    kinds: dict[str, type[StellarrowError]] = {
        "network": NetworkMismatch,
        "chain": ChainBroken,
        "config": ConfigError,
    }
    return kinds[kind](told)


def _nearest(name: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  only a mistake pays for it

    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"choose among {', '.join(sorted(known))}"
