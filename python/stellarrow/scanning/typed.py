"""All typed tables of a contract, by short names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from stellarrow.core.arguments import check
from stellarrow.core.tables import TYPED
from stellarrow.core.typed import Code, Ran, Specs, TypedTables
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.pipeline.contract_specs import Place, learned
from stellarrow.protocols import Source
from stellarrow.scanning.reading import scan_typed
from stellarrow.scanning.result import Scan
from stellarrow.scanning.state import current, last_writes


class TypedScans(Mapping[str, Scan]):
    """A contract's tables by name: `events/transfer`, `storage/Balance`, `state/Balance`; each is a Scan."""

    def __init__(self, target: str, source: Place | Source, tables: TypedTables, choices: Any) -> None:
        self._target = target
        self._source = source
        self._tables = tables
        self._choices = choices
        whole = f"{TYPED}{target}/"
        self._names = {name.removeprefix(whole): name for name in tables.names}
        kept = [name for name in self._names if name.startswith("storage/")]
        self._names |= {name.replace("storage", "state", 1): self._names[name] for name in kept}

    def __getitem__(self, name: str) -> Scan:
        """Return a table, case and underscores do not matter; a KeyError where there is none of this name."""
        if name not in self._names:
            name = {key.replace("_", "").lower(): key for key in self._names}[name.replace("_", "").lower()]
        changes = self._scan(self._names[name])
        if not name.startswith("state/"):
            return changes

        def now() -> Iterator[pa.RecordBatch]:
            writes = last_writes(self._scan(self._names["storage/_other"]))
            yield from current(changes.schema, changes, writes)

        return Scan(f"{TYPED}{self._target}/{name}", changes.place, changes.schema, now)

    def _scan(self, table: str) -> Scan:
        return scan_typed(self._source, table, self._tables, **self._choices)

    @property
    def ran(self) -> list[Ran]:
        """What the contract ran, in order: from which ledger on where that was seen, and the code's hash.

        A hash of None is the Stellar Asset Contract.
        """
        return [*self._tables.ran.get(self._target, ())]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<typed tables of {self._target}: {', '.join(self._names)}>"


def typed(
    contract: str,
    source: Place | Source,
    *,
    spec: Code | None = None,
    specs: Specs | None = None,
    ledgers: LedgerSet | LedgerRange | str | None = None,
    network: str | Network | None = None,
    workers: int | None = None,
) -> TypedScans:
    """Return a contract's events and storage as tables whose columns the contract declares (SEP-48).

    The ledgers are read once now, for what ran the contract when, its code's interface, and the shapes of
    what it keeps; and again whenever a table is asked for its rows.

    Args:
        contract: A contract (C…), or the hash of code (hex) for every contract seen to run it.
        source: A path, glob or URL of ledgers, or a Source.
        spec: The interface to use at all times: a WebAssembly file or its bytes, a file of SCSpecEntry, or
            `stellar-asset`.
        specs: The same for others: by contract, or hash of code.
        ledgers: A LedgerRange, a LedgerSet, or text such as `"58752000:+1000"`. None takes all there are.
        network: A name such as `pubnet`, or a passphrase. None takes what the place tells.
        workers: How many threads decode; None takes as many as there are processors.

    Returns:
        A mapping from `events/NAME` and `storage/CASE` to Scans, and from `state/CASE` to what holds after
        these ledgers of the changes in `storage/CASE`. `events/_other` and `storage/_other` have what fits no
        declaration.

    Raises:
        ConfigError: An argument makes no sense.
        SourceError: Ledgers cannot be read.
    """
    check(ledgers=ledgers, network=network, workers=workers)
    said = {**(specs or {}), **({contract: spec} if spec is not None else {})}
    name = f"{TYPED}{contract}"
    tables, found = learned(source, [name], specs=said, ledgers=ledgers, network=network)
    choices = {"ledgers": ledgers, "network": found, "workers": workers}
    return TypedScans(contract, source, tables, choices)
