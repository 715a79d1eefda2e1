"""All typed tables of a contract, by short names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stellarrow.core.arguments import check
from stellarrow.core.tables import TYPED
from stellarrow.core.typed import Code, Specs, TypedTables
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.pipeline.contract_specs import Place, learned
from stellarrow.protocols import Source
from stellarrow.scanning.reading import scan_typed
from stellarrow.scanning.result import Scan


class TypedScans(Mapping[str, Scan]):
    """A contract's tables by name: `events/transfer`, `storage/Balance`; each is a Scan."""

    def __init__(self, target: str, source: Place | Source, tables: TypedTables, choices: Any) -> None:
        self._target = target
        self._source = source
        self._tables = tables
        self._choices = choices
        whole = f"{TYPED}{target}/"
        self._names = {name.removeprefix(whole): name for name in tables.names}

    def __getitem__(self, name: str) -> Scan:
        """Return a table; a KeyError where there is none of this name."""
        found = self._names.get(name)
        if found is None:
            loose = {key.replace("_", "").lower(): one for key, one in self._names.items()}
            found = loose[name.replace("_", "").lower()]
        return scan_typed(self._source, found, self._tables, **self._choices)

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
        A mapping from `events/NAME` and `storage/CASE` to Scans. `events/_other` and `storage/_other` have
        what fits no declaration.

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
