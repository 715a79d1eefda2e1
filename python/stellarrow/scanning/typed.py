"""All typed tables of a contract, by short names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn

import pyarrow as pa

from stellarrow.core.arguments import check, workers_of
from stellarrow.core.tables import TYPED
from stellarrow.core.typed import Code, Knowledge, Ran, Specs
from stellarrow.errors import ConfigError
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.pipeline.contract_specs import Place, learned
from stellarrow.protocols import Source
from stellarrow.scanning.reading import scan, scan_typed
from stellarrow.scanning.result import Scan
from stellarrow.scanning.state import current, last_writes
from stellarrow.storage.paths import local_path


class TypedScans(Mapping[str, Scan]):
    """A contract's tables by name: `events/transfer`, `storage/Balance`, `state/Balance`; each is a Scan."""

    def __init__(
        self, target: str, names: Iterable[str], scanned: Callable[[str], Scan], ran: Callable[[], list[Ran]]
    ) -> None:
        self._target = target
        self._scan = scanned
        self._ran = ran
        whole = f"{TYPED}{target}/"
        self._names = {name.removeprefix(whole): name for name in names}
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

    @property
    def ran(self) -> list[Ran]:
        """What the contract ran, in order: from which ledger on where that was seen, and the code's hash.

        A hash of None is the Stellar Asset Contract. Of what was extracted these are the interfaces that its
        rows were read with.
        """
        return self._ran()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"typed tables of {self._target} cannot be sent to another process: send the arguments, and call"
            " typed there"
        )

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
        source: A path, glob or URL of ledgers, a Source, or a folder that typed tables were extracted into:
            there nothing is read now, and `spec`, `specs` and `network` are not asked.
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
    check(source=source, ledgers=ledgers, network=network)
    workers = workers_of(workers)
    if specs is not None and not isinstance(specs, Mapping):
        raise ConfigError(f"specs is {specs!r}: give a mapping of contracts to their code")
    said = {**(specs or {}), **({contract: spec} if spec is not None else {})}
    choices: Any = {"ledgers": ledgers, "network": network, "workers": workers}
    return found_typed(contract, source, said, None, **choices)


def found_typed(
    contract: str,
    source: Place | Source,
    said: Specs,
    also: Callable[[Knowledge], None] | None,
    *,
    ledgers: LedgerSet | LedgerRange | str | None,
    network: str | Network | None,
    workers: int | None = None,
) -> TypedScans:
    """Return the tables; `also` adds to what is said and what the ledgers tell."""
    if (extracted := _extracted(contract, source, said, ledgers)) is not None:
        return extracted
    name = f"{TYPED}{contract}"
    made = learned(source, [name], specs=said, ledgers=ledgers, network=network, also=also)
    choices: Any = {"ledgers": ledgers, "network": made.network, "workers": workers}
    return TypedScans(
        contract,
        made.tables.names,
        lambda table: scan_typed(source, table, made.tables, **choices),
        lambda: [*made.tables.ran.get(contract, ())],
    )


def _extracted(
    contract: str, source: Place | Source, said: Specs, ledgers: LedgerSet | LedgerRange | str | None
) -> TypedScans | None:
    """Return the tables that were extracted into a folder; None where the source is none."""
    if not isinstance(source, str | os.PathLike) or (":" in str(source) and not local_path(source).exists()):
        return None
    from stellarrow.sinks.files.dataset import typed_tables  # noqa: PLC0415  loads Arrow's datasets

    if (names := typed_tables(local_path(source), contract)) is None:
        return None
    if said:
        raise ConfigError(
            f"{source} holds tables that were made with the interfaces known then: leave out spec and specs,"
            " or name the ledgers to read them anew"
        )

    def scanned(table: str) -> Scan:
        return scan(source, table=table, ledgers=ledgers)

    return TypedScans(contract, names, scanned, lambda: _ran(map(scanned, names)))


def _ran(tables: Iterable[Scan]) -> list[Ran]:
    """Return which interfaces rows were read with, in the order of their ledgers."""
    seen: dict[int, dict[str | None, None]] = {}
    for table in tables:
        for batch in table:
            told = batch.select(["ledger_sequence", "wasm_hash", "spec_status"])
            for ledger, hash, status in zip(*told.to_pydict().values(), strict=True):
                if status != "no_spec":
                    seen.setdefault(ledger, {})[hash] = None
    ran: list[Ran] = []
    for ledger, hashes in sorted(seen.items()):
        ran += [(ledger, hash) for hash in hashes if not ran or ran[-1][1] != hash]
    return ran
