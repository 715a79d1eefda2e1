"""The one door to the Rust core: bytes in, Arrow out, its errors translated."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa

from stellarrow import _core
from stellarrow.core.arguments import check, one_range
from stellarrow.core.errors import bytes_like, translate
from stellarrow.core.figures import COUNTED_TABLES
from stellarrow.core.named_queries import Catalogue
from stellarrow.core.options import DecodeOptions
from stellarrow.core.projection import Batches, Projection
from stellarrow.core.tables import compiled, table
from stellarrow.errors import (
    ConfigError,
    NetworkMismatch,
    SourceError,
)
from stellarrow.filter import Filter
from stellarrow.ledgers import (
    KNOWN_NETWORKS,
    LedgerBatch,
    LedgerChunk,
    LedgerRange,
    LedgerRun,
    LedgerSet,
    Network,
)
from stellarrow.sql.named import NamedQuery

if _core.DEBUG_BUILD:
    warnings.warn(
        "stellarrow's core is a debug build, many times slower: build it with `maturin develop --release`",
        RuntimeWarning,
        stacklevel=2,
    )


def decode(
    data: Any,
    tables: Sequence[str],
    *,
    network: str | Network | None = None,
    framing: str = "auto",
    ledgers: LedgerSet | LedgerRange | str | None = None,
    where: Filter | str | None = None,
    filter: str | NamedQuery | None = None,
    columns: Sequence[str] | None = None,
    decoded: bool = False,
    diagnostics: bool = False,
    transfers: str = "derive",
    verify_chain: bool = True,
    verify_hashes: bool | None = None,
) -> Batches:
    """Decode bytes of ledgers into one record batch a table, as many rows as the ledgers have.

    It keeps nothing, and lets go of the GIL: threads may call it at once.

    Args:
        data: Bytes-like: whole ledgers (LedgerCloseMeta) in any framing, plain or in zstd.
        tables: Names, as `name` for the newest version or `name@version`; `sa.tables()` lists them.
        network: A name such as `pubnet`, or a passphrase. Transactions prove it right or wrong; None takes
            the first of the known networks that they prove.
        framing: `auto`, which never guesses, `batch` (LedgerCloseMetaBatch), `single` (one LedgerCloseMeta),
            `record-marked` (RFC 5531) or `base64-lines`.
        ledgers: One range, such as `"5:10"` or `LedgerRange(5, 10)`, to decode; None decodes all.
        where: Which rows to keep: a Filter, or a condition in SQL such as `amount_raw > 10000000`.
        filter: A named filter that must hold, too: the name of one that is ready-made, such as
            `large_amounts`, or one of `sa.queries(FILE)`.
        columns: Which columns to make, in order: names, or SQL such as `amount_raw / 10000000 as amount`.
            None makes all.
        decoded: Add the columns made on request: values as XDR-JSON (SEP-51), contracts' interfaces (SEP-48).
        diagnostics: Add diagnostic events to contract_events.
        transfers: What token_transfers are read from: `derive`, operations, results and contract events;
            `unified`, the events of CAP-67 alone, an error where a ledger has none.
        verify_chain: Check that each ledger names the hash of the one before. The hash of each header itself
            is always checked.
        verify_hashes: Check that transaction sets and results have the hashes that headers name, which takes
            about 0.13 ms a MB. None does not: in scan and run it does so for what comes over a network.

    Returns:
        A dict of pyarrow.RecordBatch by the names that were asked for, each with `sa.schema(name)`.

    Raises:
        DecodeError: The bytes are no ledgers that the decoder knows (.ledger, .path, .offset).
        NetworkMismatch: The transactions are of another network.
        ChainBroken: A header's hash, or its link to the ledger before, is wrong.
        ConfigError: An argument makes no sense.
    """
    check(
        tables=tables,
        network=network,
        framing=framing,
        ledgers=ledgers,
        columns=columns,
        decoded=decoded,
        diagnostics=diagnostics,
        transfers=transfers,
        verify_chain=verify_chain,
        verify_hashes=verify_hashes,
    )
    chosen = Catalogue().filtered(Filter.of(where), filter, tables, decoded=decoded)
    projection = Projection.of(tables, chosen, columns, decoded=decoded)
    part = one_range(ledgers)

    def made(of: str | Network) -> Batches:
        options = DecodeOptions(
            network=Network.of(of),
            where=projection.where,
            decoded=decoded,
            diagnostics=diagnostics,
            transfers=transfers,
            verify_chain=verify_chain,
        )
        choice = _choice(tuple(tables), options)
        return choice.decode(data, framing, part, verify_hashes=bool(verify_hashes))[0]

    return projection.of_batches(made(network) if network is not None else _proven(made))


def _proven(made: Callable[[Network], Batches]) -> Batches:
    """Return what is made with the first known network that the transactions' hashes prove."""
    for network in KNOWN_NETWORKS:
        try:
            return made(network)
        except NetworkMismatch:
            continue
    raise NetworkMismatch(
        "the transactions are of no network known by name: give network, the passphrase they are signed for"
    )


class Decoder:
    """Decode chunk after chunk with the same choices, from any thread.

    The arguments are those of `decode`, but the network must be named; `verify_hashes` None verifies chunks
    that came over a network. `keeps_counted` hands on what figures are counted from. A wrong argument is a
    ConfigError.
    """

    def __init__(
        self,
        tables: Sequence[str],
        *,
        network: str | Network,
        where: Filter | str | None = None,
        decoded: bool = False,
        transfers: str = "derive",
        verify_chain: bool = True,
        verify_hashes: bool | None = None,
        keeps_counted: bool = False,
    ) -> None:
        self._verify_hashes = verify_hashes
        self._keeps_counted = keeps_counted
        options = DecodeOptions(
            network=Network.of(network),
            where=Filter.of(where),
            decoded=decoded,
            transfers=transfers,
            verify_chain=verify_chain,
        )
        self._choice = _Choice(tables, options)

    @classmethod
    def of(cls, tables: Sequence[str], options: DecodeOptions) -> Decoder:
        """Return a decoder with choices that were made already."""
        return cls(
            tables,
            network=options.network,
            where=options.where,
            decoded=options.decoded,
            transfers=options.transfers,
            verify_chain=options.verify_chain,
            verify_hashes=options.verify_hashes,
        )

    def __call__(self, chunk: LedgerChunk) -> LedgerBatch:
        """Decode a chunk into one record batch a table, each row of which is of the chunk's ledgers.

        A SourceError where the chunk does not hold exactly the ledgers it says; the errors of `decode` where
        its bytes are not sound, with the chunk's place in front.
        """
        wanted = LedgerRange(chunk.first, chunk.last)
        batches, run, made = self._choice.decode(
            chunk.data,
            chunk.framing,
            wanted,
            place=chunk.where,
            verify_hashes=chunk.fetched if self._verify_hashes is None else self._verify_hashes,
        )
        if run is None or (run.first, run.last, run.count) != (chunk.first, chunk.last, wanted.count):
            held = f"{run.count} ledgers from {run.first} to {run.last}" if run else "none of them"
            raise SourceError(
                f"{chunk.where} should hold the ledgers {wanted} but holds {held}: fetch it again"
            )
        counted = _counted(made) if self._keeps_counted else {}
        return LedgerBatch(chunk.first, chunk.last, batches, run, counted=counted)


def _counted(made: Mapping[str, Any]) -> dict[str, Any]:
    """Return, as the core made them, the tables that figures are counted from."""
    by_name = {name.partition("@")[0]: rows for name, rows in made.items()}
    return {name: by_name[name] for name in COUNTED_TABLES if name in by_name}


@lru_cache(maxsize=32)
def _choice(tables: tuple[str, ...], options: DecodeOptions) -> _Choice:
    """Return what the last calls of the same kind used: they come a ledger each, by the thousand."""
    return _Choice(tables, options)


class _Choice:
    """What to decode: names resolved once, the core's options made for a framing and range."""

    def __init__(self, asked: Sequence[str], options: DecodeOptions) -> None:
        if isinstance(asked, str) or not asked:
            raise ConfigError(f"tables is {asked!r}: give a list of names, such as ['contract_events']")
        self._places = {name: str(table(name)) for name in asked}
        self._names = list(dict.fromkeys(self._places.values()))
        chosen = options.where or Filter()
        computed = {name: compiled(name, chosen, decoded=options.decoded) for name in self._names}
        self._computations = {name: one for name, one in computed.items() if one}
        # What one table may drop before, all must be able to spare: they share the walk.
        pushed = {one.filter for one in self._computations.values()}
        self._options = _core_options(self._names, options, pushed.pop() if len(pushed) == 1 else chosen)

    def decode(
        self,
        data: Any,
        framing: str,
        ledgers: LedgerRange | None,
        *,
        place: str | None = None,
        verify_hashes: bool = False,
    ) -> tuple[Batches, LedgerRun | None, dict[str, Any]]:
        wanted = (ledgers.first, ledgers.end) if ledgers else None
        try:
            batches, run = _core.decode(bytes_like(data), self._options, framing, wanted, verify_hashes)
        except _core.CoreError as error:
            raise translate(error, place) from error
        of_core = dict(zip(self._names, batches, strict=True))
        made = {name: pa.record_batch(rows) for name, rows in of_core.items()}
        for name, compute in self._computations.items():
            made[name] = compute(made[name])
        named = Batches({asked: made[name] for asked, name in self._places.items()})
        return named, _run(run) if run else None, of_core


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


def _core_options(names: Sequence[str], options: DecodeOptions, where: Filter) -> _core.Options:
    try:
        return _core.Options(
            names,
            passphrase=options.network.passphrase,
            contract_ids=where.contract_ids,
            asset_codes=where.asset_codes,
            asset_issuers=where.asset_issuers,
            event_names=where.event_names,
            event_types=where.event_types,
            accounts=where.accounts,
            include_deleted=where.include_deleted,
            diagnostics=options.diagnostics,
            decoded=options.decoded,
            transfers=options.transfers,
            verify_chain=options.verify_chain,
        )
    except _core.CoreError as error:
        raise translate(error) from error
