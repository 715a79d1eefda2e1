"""The one door to the Rust core: bytes in, Arrow out, its errors translated."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from stellarrow import _core
from stellarrow.core.errors import bytes_like, translate
from stellarrow.core.options import DecodeOptions
from stellarrow.core.tables import compiled, table
from stellarrow.errors import (
    ConfigError,
    SourceError,
)
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerBatch, LedgerChunk, LedgerRange, LedgerRun, Network

if _core.DEBUG_BUILD:
    warnings.warn(
        "stellarrow's core is a debug build, many times slower: build it with `maturin develop --release`",
        RuntimeWarning,
        stacklevel=2,
    )


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
    verify_hashes: bool = False,
) -> Batches:
    """Decode bytes-like ledgers into one record batch a table, as many rows as the ledgers have.

    `framing` is `auto`, `batch`, `single`, `record-marked` or `base64-lines`, each plain or in zstd.
    `where` is a Filter, or a condition in SQL such as `amount_raw > 10000000`.
    `decoded` adds the columns made on request: values as XDR-JSON (SEP-51), code and its interface (SEP-48).
    `diagnostics` adds diagnostic events to the events. Threads may call it at once: the GIL is released.
    `transfers` says what token_transfers are read from: `derive`, operations, results and contract events;
    `unified`, the events of CAP-67 alone, an error where a ledger has none.
    `verify_chain` checks that each ledger names the hash of the one before; `verify_hashes` that its
    transaction set and results have the hashes its header names, which takes about 0.13 ms a MB.
    """
    options = DecodeOptions(
        network=Network.of(network),
        where=Filter.of(where),
        decoded=decoded,
        diagnostics=diagnostics,
        transfers=transfers,
        verify_chain=verify_chain,
    )
    return _Choice(tables, options).decode(data, framing, ledgers, verify_hashes=verify_hashes)[0]


class Decoder:
    """Decode chunk after chunk with the same choices, from any thread.

    `verify_hashes` is as in `decode`; None verifies chunks that came over a network.
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
    ) -> None:
        self._verify_hashes = verify_hashes
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
        """Decode a chunk; SourceError where it does not hold exactly the ledgers it says."""
        wanted = LedgerRange(chunk.first, chunk.last)
        batches, run = self._choice.decode(
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
        return LedgerBatch(chunk.first, chunk.last, batches, run)


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
    ) -> tuple[Batches, LedgerRun | None]:
        wanted = (ledgers.first, ledgers.end) if ledgers else None
        try:
            batches, run = _core.decode(bytes_like(data), self._options, framing, wanted, verify_hashes)
        except _core.CoreError as error:
            raise translate(error, place) from error
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
