"""What a call decodes, made ready once: names, the filter's SQL, and the core's options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa

from stellarrow import _core
from stellarrow.core.errors import bytes_like, translate
from stellarrow.core.options import DecodeOptions
from stellarrow.core.projection import Batches, Handed
from stellarrow.core.rows import imported
from stellarrow.core.tables import compiled, is_typed, maker_of, table
from stellarrow.core.typed import TypedTables, without_deleted
from stellarrow.errors import ConfigError
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerRun

# A filter's fields that the walk answers.
_WALKED: Final = ("contract_ids", "asset_codes", "asset_issuers", "event_names", "event_types", "accounts")


@lru_cache(maxsize=32)
def choice(tables: tuple[str, ...], options: DecodeOptions) -> Choice:
    """Return what the last calls of the same kind used: they come a ledger each, by the thousand."""
    return Choice(tables, options)


class Choice:
    """What to decode: names resolved once, the core's options made for a framing and range."""

    def __init__(self, asked: Sequence[str], options: DecodeOptions) -> None:
        if isinstance(asked, str) or not asked:
            raise ConfigError(f"tables is {asked!r}: give a list of names, such as ['contract_events']")
        self._places = {name: str(table(name)) for name in asked}
        self._all = list(dict.fromkeys(self._places.values()))
        self._names = [name for name in self._all if not is_typed(name)]
        self._typed = _Typed.of([name for name in self._all if is_typed(name)], options)
        chosen = options.where or Filter()
        computed = {name: compiled(name, chosen, decoded=options.decoded) for name in self._all}
        self._computations = {name: one for name, one in computed.items() if one}
        # What one table may drop before, all must be able to spare: they share the walk.
        pushed = {one.filter for one in self._computations.values()}
        if self._computations:
            options = replace(options, dictionaries=False)
        # Whoever takes dictionaries of the core hands rows back to it.
        self._batches = Handed if options.dictionaries else Batches
        self._options = _core_options(self._names, options, pushed.pop() if len(pushed) == 1 else chosen)

    def decode(
        self,
        data: Any,
        framing: str,
        ledgers: LedgerRange | None,
        *,
        more: Sequence[Any] = (),
        place: str | None = None,
        verify_hashes: bool = False,
    ) -> tuple[Batches, LedgerRun | None, dict[str, Any]]:
        """Decode whole ledgers: a batch under each name asked, their ledgers, and the core's own.

        `more` are data whose ledgers go on from those; of typed tables there may be none.
        """
        wanted = (ledgers.first, ledgers.end) if ledgers else None
        made: dict[str, pa.RecordBatch] = {}
        of_core: dict[str, Any] = {}
        if self._typed:
            made, run = self._typed.decode(data, framing, wanted, place=place, verify_hashes=verify_hashes)
        if self._names:
            try:
                pieces = [bytes_like(data), *map(bytes_like, more)]
                batches, run = _core.decode(pieces, self._options, framing, wanted, verify_hashes)
            except _core.CoreError as error:
                raise translate(error, place) from error
            of_core = dict(zip(self._names, batches, strict=True))
            is_handed = self._batches is Handed
            made.update({name: rows if is_handed else imported(rows) for name, rows in of_core.items()})
        for name, compute in self._computations.items():
            made[name] = compute(made[name])
        named = self._batches({asked: made[name] for asked, name in self._places.items()})
        return named, _run(run) if run else None, of_core


@dataclass(frozen=True, slots=True)
class _Typed:
    """Which typed tables to decode, and what makes them."""

    names: Sequence[str]
    options: DecodeOptions
    maker: TypedTables

    @classmethod
    def of(cls, names: Sequence[str], options: DecodeOptions) -> _Typed | None:
        if not names:
            return None
        maker = options.typed or maker_of(names[0])
        if not isinstance(maker, TypedTables):
            raise ConfigError(f"{names[0]} is made for the ledgers that are read: use scan, typed or decode")
        chosen = options.where or Filter()
        for name in _WALKED:
            if getattr(chosen, name):
                raise ConfigError(f"{name} cannot be asked of typed tables: ask in SQL, as where")
        return cls(names, options, maker)

    def decode(
        self,
        data: Any,
        framing: str,
        ledgers: tuple[int, int] | None,
        *,
        place: str | None,
        verify_hashes: bool,
    ) -> tuple[dict[str, pa.RecordBatch], _core.Run | None]:
        made, run = self.maker.decode(
            data,
            self.names,
            network=self.options.network,
            framing=framing,
            ledgers=ledgers,
            verify_chain=self.options.verify_chain,
            verify_hashes=verify_hashes,
            place=place,
        )
        if self.options.where and not self.options.where.include_deleted:
            made = {name: without_deleted(batch) for name, batch in made.items()}
        return made, run


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
            dictionaries=options.dictionaries,
        )
    except _core.CoreError as error:
        raise translate(error) from error
