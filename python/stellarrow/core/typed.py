"""Typed tables: what is known of contracts, compiled to tables whose columns the contracts declare."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from stellarrow import _core
from stellarrow.core.errors import bytes_like, translate
from stellarrow.core.tables import TYPED, TypedTable, is_typed, open_typed
from stellarrow.core.typed_columns import FixedColumns, interfaces_of, no_rows, own_columns
from stellarrow.errors import ConfigError, nearest
from stellarrow.ledgers import LedgerRange, Network

STELLAR_ASSET: Final = "stellar-asset"
_CODE: Final = b"\0asm"
_HEADER: Final = b"\0asm\x01\0\0\0"
_SECTION: Final = b"contractspecv0"

_HASH_DIGITS: Final = 64

Code = str | Path | bytes
# From which ledger on, where that was seen, and the hash of code; None is the Stellar Asset Contract.
Ran = tuple[int | None, str | None]
Specs = Mapping[str, Code]


class SpecUnknown(UserWarning):
    """A contract whose interface is not known, so that its rows have no columns of its own."""


class TypedTables:
    """Typed tables of some contracts, compiled once; threads may decode with them.

    `ran` says of each contract what it ran, in order.
    """

    def __init__(
        self, plan: _core.TypedPlan, ran: Mapping[str, Sequence[Ran]], *, found_by_name: bool = True
    ) -> None:
        self._plan = plan
        self.ran = ran
        self._tables: dict[str, TypedTable] = {}
        self._kinds: dict[str, tuple[int, str]] = {}  # the table's place in the plan, and what its rows are
        self._below: dict[str, list[str]] = {}  # by `typed:TARGET` and `typed:TARGET/events`
        for place, (name, rows, key) in enumerate(plan.tables()):
            self._tables[name] = self._table(name, rows, key)
            self._kinds[name] = place, rows
            for folder in _folders(name):
                self._below.setdefault(folder, []).append(name)
        self._columns: dict[str, pa.Schema] = {}  # of those that were asked for
        self._fixed: dict[str, FixedColumns] = {}  # by what rows are
        if found_by_name:
            open_typed(self._tables.values())

    def _table(self, name: str, rows: str, key: Sequence[str]) -> TypedTable:
        what = "Events" if rows == "events" else "Changes of storage"
        description = f"{what} of a contract, as it declares them."
        return TypedTable(name, "1.0", description, None, tuple(key), self)

    @property
    def names(self) -> list[str]:
        """Every table's name."""
        return list(self._tables)

    def schema(self, name: str) -> pa.Schema:
        """Return a table's columns."""
        if name not in self._columns:
            place, rows = self._kinds[name]
            own = pa.schema(self._plan.own(place))
            if rows not in self._fixed:
                self._fixed[rows] = FixedColumns.of(pa.schema(self._plan.schema(place)), own.names)
            self._columns[name] = self._fixed[rows].around(own)
        return self._columns[name]

    def _batch(self, name: str, made: Any) -> pa.RecordBatch:
        """Return a table's rows as the core made them; None are no rows."""
        if made is not None:
            return pa.record_batch(made)
        return no_rows(self.schema(name))

    @property
    def unknown(self) -> list[str]:
        """Contracts, and hashes of code, of which no interface at all is known."""
        known = {target_of(name) for name in self.names if not name.endswith("/_other")}
        return [name for name, _ in self._plan.lacking if name not in known]

    def warn(self) -> None:
        """Say once of each contract what is not known of it, and how to get it."""
        for name, reason in self._plan.lacking:
            warnings.warn(
                f"{name}: {reason}; its rows have the status no_spec. Give its code (--spec {name}=FILE.wasm,"
                " in Python specs), or ledgers that have it",
                SpecUnknown,
                stacklevel=3,
            )

    def expand(self, names: Iterable[str]) -> list[str]:
        """Return tables by their names: `typed:CONTRACT` is all tables of a contract."""
        found: list[str] = []
        for asked in names:
            found += self._meant(asked) if is_typed(asked) else [asked]
        return list(dict.fromkeys(found))

    def one(self, asked: str) -> str:
        """Return the one table of a name."""
        found = self.expand([asked])
        if len(found) != 1:
            raise ConfigError(f"{asked} is {len(found)} tables: name one of {', '.join(found)}")
        return found[0]

    def _meant(self, asked: str) -> list[str]:
        if asked in self._tables:
            return [asked]
        if below := self._below.get(asked.rstrip("/")):
            return below
        if "/state" in asked:
            changes = asked.replace("/state", "/storage")
            raise ConfigError(
                f"{asked} is made of changes when it is read: name {changes} here, and read its state by"
                " scan, or in SQL"
            )
        alike = [name for name in self._tables if loose_name(name) == loose_name(asked)]
        if len(alike) == 1:
            return alike
        remedy = nearest(asked, self.names, f"choose among {', '.join(self.names)}", show=repr)
        raise ConfigError(f"there is no table {asked!r}: {remedy}")

    def decode(
        self,
        data: Any,
        names: Sequence[str],
        *,
        network: Network,
        framing: str = "auto",
        ledgers: tuple[int, int] | None = None,
        verify_chain: bool = True,
        verify_hashes: bool = False,
        place: str | None = None,
    ) -> tuple[dict[str, pa.RecordBatch], _core.Run | None]:
        """Decode whole ledgers to a record batch a table, under its name."""
        try:
            batches, run = self._plan.decode(
                bytes_like(data), names, network.passphrase, framing, ledgers, verify_chain, verify_hashes
            )
        except _core.CoreError as error:
            raise translate(error, place) from error
        asked = {*names}
        wanted = [name for name in self._tables if name in asked]
        return {name: self._batch(name, made) for name, made in zip(wanted, batches, strict=True)}, run

    def rows(
        self,
        contract: str,
        *,
        events: Sequence[tuple[Sequence[bytes], bytes]] = (),
        items: Sequence[tuple[bytes, bytes | None]] = (),
        protocol: int = 23,
    ) -> dict[str, pa.RecordBatch]:
        """Make rows of events (topics and data) and storage items (key and value), each an ScVal.

        `event_index` and `change_index` are the places in the lists.
        """
        try:
            batches = self._plan.rows(
                contract, self.names, protocol, [(list(topics), data) for topics, data in events], list(items)
            )
        except _core.CoreError as error:
            raise translate(error) from error
        made = zip(self._tables, batches, strict=True)
        return {name: pa.record_batch(batch) for name, batch in made if batch is not None}


class Knowledge:
    """What is known of contracts: their code's interfaces, and what ran them when."""

    def __init__(self, names: Iterable[str], specs: Specs | None = None) -> None:
        """Begin with what the caller says of the targets of these tables."""
        self._targets = list(dict.fromkeys(map(target_of, filter(is_typed, names))))
        self._pinned: set[str] = set()
        self._known = _translated(lambda: _core.Knowledge(self._targets))
        for contract, code in (specs or {}).items():
            self._add(contract, code)

    def _add(self, target: str, code: Code) -> None:
        if code == STELLAR_ASSET:
            _translated(lambda: self._known.pin(target, None))
        else:
            read = wasm_of(code)
            hash = sha256(read).hexdigest()
            is_hash = len(target) == _HASH_DIGITS
            self.add_code(target if is_hash else hash, read)
            if not is_hash:
                _translated(lambda: self._known.pin(target, hash))
        self._pinned.add(target)

    @property
    def targets(self) -> list[str]:
        """The contracts and hashes of code whose tables are asked for."""
        return self._targets

    @property
    def is_complete(self) -> bool:
        """Whether the caller said everything of every target."""
        return {*self._targets} <= self._pinned

    def seed(self, held: Mapping[str, pa.Schema]) -> None:
        """Let the columns of tables that are kept somewhere stay; what is new comes behind them."""
        for name, columns in held.items():
            own = pa.schema(own_columns(columns))
            if target_of(name) in self._targets:
                _translated(lambda: self._known.seed(name, own, interfaces_of(columns)))  # noqa: B023  at once

    def freeze(self) -> None:
        """Make no tables and columns from now on but those that are there already."""
        self._known.freeze()

    @property
    def changes(self) -> int:
        """How often something was learned that changes how rows are read."""
        return int(self._known.changes)

    def add_code(self, hash: str, code: bytes) -> None:
        """Know the code of a hash (hex)."""
        _translated(lambda: self._known.add_code(hash, code))

    def note(self, contract: str, ledger: int, hash: str | None) -> None:
        """A contract ran this code from a ledger on; None is the Stellar Asset Contract."""
        _translated(lambda: self._known.note(contract, ledger, hash))

    def sample(self, contract: str, items: Sequence[tuple[bytes, bytes | None]]) -> None:
        """A contract keeps values under keys, each an ScVal: its storage's tables get columns for them."""
        _translated(lambda: self._known.sample(contract, list(items)))

    def learn(
        self,
        data: Any,
        network: Network,
        framing: str = "auto",
        ledgers: LedgerRange | None = None,
        *,
        verify_chain: bool = True,
    ) -> None:
        """Learn from whole ledgers which code there is and what runs it; threads may go on decoding."""
        wanted = (ledgers.first, ledgers.end) if ledgers else None
        _translated(
            lambda: self._known.learn(bytes_like(data), network.passphrase, framing, wanted, verify_chain)
        )

    def history(self, contract: str) -> list[Ran]:
        """Return which code a contract ran, and from which ledger on where that was seen.

        A hash (hex), or None for the Stellar Asset Contract.
        """
        ran: list[Ran] = _translated(lambda: self._known.history(contract))
        return ran

    def missing(self) -> list[str]:
        """Return hashes of code that is known to run, but is not known."""
        return [*self._known.missing()]

    def tables(self, *, found_by_name: bool = True) -> TypedTables:
        """Compile what is known; `found_by_name` lets anybody find the tables by their names alone."""
        contracts = [target for target in self._targets if len(target) < _HASH_DIGITS]
        ran = {one: self.history(one) for one in contracts}
        return TypedTables(self._known.plan(), ran, found_by_name=found_by_name)


def target_of(name: str) -> str:
    """Return the contract, or the hash of code, of a typed table's name."""
    return name.removeprefix(TYPED).partition("/")[0]


def wasm_of(code: Code) -> bytes:
    """Return code out of a WebAssembly file, or around the entries of a spec file (SCSpecEntry, XDR)."""
    read = code if isinstance(code, bytes) else _file(Path(code))
    if read.startswith(_CODE):
        return read
    content = _sized(_SECTION) + read
    made = _HEADER + b"\0" + _sized(content)
    if not read or _core.spec_status(made) != "read":
        place = "what is given" if isinstance(code, bytes) else code
        raise ConfigError(
            f"the spec {place} is neither WebAssembly nor the entries of a spec: name a contract's .wasm file"
        )
    return made


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the spec {path} cannot be read: {error.strerror}") from error


def _sized(content: bytes) -> bytes:
    """Put the length in front, as WebAssembly writes it (unsigned LEB128)."""
    size, left = b"", len(content)
    while left > 0x7F:
        size += bytes([left & 0x7F | 0x80])
        left >>= 7
    return size + bytes([left]) + content


def _folders(name: str) -> tuple[str, str]:
    """Return what a table is below: `typed:TARGET`, and `typed:TARGET/events`."""
    target, _, rest = name.partition("/")
    return target, f"{target}/{rest.partition('/')[0]}"


def loose_name(name: str) -> str:
    """Return a table's name without what does not matter: case and underscores of its last part."""
    head, _, last = name.rpartition("/")
    return f"{head}/{last.replace('_', '').lower()}"


def without_deleted(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Leave out rows of entries that were removed."""
    if "deleted" not in batch.schema.names:
        return batch
    import pyarrow.compute as pc  # noqa: PLC0415  takes time to load

    return batch.filter(pc.invert(batch.column("deleted")))


def _translated(call: Any) -> Any:
    try:
        return call()
    except _core.CoreError as error:
        raise translate(error) from error
