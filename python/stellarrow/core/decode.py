"""The one door to the Rust core: bytes in, Arrow out, its errors translated."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from stellarrow import _core
from stellarrow.core.arguments import check, one_range
from stellarrow.core.choice import Choice, choice
from stellarrow.core.figures import COUNTED_TABLES
from stellarrow.core.named_queries import Catalogue
from stellarrow.core.options import DecodeOptions
from stellarrow.core.projection import Batches, Projection
from stellarrow.core.tables import is_typed
from stellarrow.core.typed import Knowledge, Specs, TypedTables
from stellarrow.errors import NetworkMismatch, SourceError
from stellarrow.filter import Filter
from stellarrow.ledgers import (
    KNOWN_NETWORKS,
    LedgerBatch,
    LedgerChunk,
    LedgerRange,
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
    specs: Specs | None = None,
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
        specs: Interfaces for typed tables (`typed:C…`) that the ledgers do not have: by contract, or hash of
            code, a WebAssembly file or its bytes, or `stellar-asset`.

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
        filter=filter,
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
    part = one_range(ledgers)
    typed = None
    if any(map(is_typed, tables)):
        network = network or _network_of(data, framing, part)
        known = Knowledge(tables, specs)
        known.learn(data, Network.of(network), framing, part, verify_chain=verify_chain)
        typed = known.tables()
        typed.warn()
        tables = typed.expand(tables)
    chosen = Catalogue().filtered(Filter.of(where), filter, tables, decoded=decoded)
    projection = Projection.of(tables, chosen, columns, decoded=decoded)

    def made(of: str | Network) -> Batches:
        options = DecodeOptions(
            network=Network.of(of),
            where=projection.where,
            decoded=decoded,
            diagnostics=diagnostics,
            transfers=transfers,
            verify_chain=verify_chain,
            typed=typed,
        )
        chosen = Choice(tables, options) if typed else choice(tuple(tables), options)
        return chosen.decode(data, framing, part, verify_hashes=bool(verify_hashes))[0]

    return projection.of_batches(made(network) if network is not None else _proven(made))


def _network_of(data: Any, framing: str, ledgers: LedgerRange | None) -> Network:
    """Return the known network that the transactions prove."""
    found: list[Network] = []

    def made(network: Network) -> Batches:
        found.append(network)
        options = DecodeOptions(network=network, verify_chain=False)
        return choice(("ledgers",), options).decode(data, framing, ledgers)[0]

    _proven(made)
    return found[-1]


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
    that came over a network. `keeps_counted` hands on what figures are counted from, `typed` makes typed
    tables, `dictionaries` is as DecodeOptions has it. A wrong argument is a ConfigError.
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
        typed: TypedTables | None = None,
        dictionaries: bool = False,
    ) -> None:
        self._verify_hashes = verify_hashes
        self._keeps_counted = keeps_counted
        options = DecodeOptions(
            network=Network.of(network),
            where=Filter.of(where),
            decoded=decoded,
            transfers=transfers,
            verify_chain=verify_chain,
            verify_hashes=verify_hashes,
            typed=typed,
            dictionaries=dictionaries,
        )
        self._made_of = tables, options, keeps_counted
        self._choice = Choice(tables, options)
        self.takes_several = not any(map(is_typed, tables))  # chunks in one call

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
            typed=options.typed,
            dictionaries=options.dictionaries,
        )

    def __reduce__(self) -> tuple[Callable[..., Decoder], tuple[Sequence[str], DecodeOptions, bool]]:
        """Send what it was made of to another process, which makes one anew."""
        if self._made_of[1].typed:
            raise TypeError(
                "a Decoder of typed tables cannot be sent to another process, as it knows what ledgers told:"
                " make one there, or decode in this process"
            )
        return _made_anew, self._made_of

    def __call__(self, chunk: LedgerChunk, *more: LedgerChunk) -> LedgerBatch:
        """Decode a chunk into one record batch a table, each row of which is of the chunk's ledgers.

        `more` are chunks that follow it, stored in the same way. A SourceError where the chunks do not hold
        exactly the ledgers they say; the errors of `decode` where their bytes are not sound, with the first
        one's place in front.
        """
        last = more[-1].last if more else chunk.last
        wanted = LedgerRange(chunk.first, last)
        batches, run, made = self._choice.decode(
            chunk.data,
            chunk.framing,
            wanted,
            more=[one.data for one in more],
            place=chunk.where,
            verify_hashes=chunk.fetched if self._verify_hashes is None else self._verify_hashes,
        )
        if run is None or (run.first, run.last, run.count) != (chunk.first, last, wanted.count):
            held = f"{run.count} ledgers from {run.first} to {run.last}" if run else "none of them"
            raise SourceError(
                f"{chunk.where} should hold the ledgers {wanted} but holds {held}: fetch it again"
            )
        counted = _counted(made) if self._keeps_counted else {}
        return LedgerBatch(chunk.first, last, batches, run, counted=counted)


def _made_anew(tables: Sequence[str], options: DecodeOptions, keeps_counted: bool) -> Decoder:
    chosen = {one.name: getattr(options, one.name) for one in fields(options) if one.name != "diagnostics"}
    return Decoder(tables, **chosen, keeps_counted=keeps_counted)


def _counted(made: Mapping[str, Any]) -> dict[str, Any]:
    """Return, as the core made them, the tables that figures are counted from."""
    by_name = {name.partition("@")[0]: rows for name, rows in made.items()}
    return {name: by_name[name] for name in COUNTED_TABLES if name in by_name}
