"""Typed tables in sessions: each keeps the columns it began with, and follows contracts' code.

Beside a session's spool `typed.json` says which columns it has, and what contracts ran as ledgers passed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from stellarrow.core.tables import as_schema, is_typed, table, written
from stellarrow.core.typed import Knowledge, TypedTables, target_of
from stellarrow.core.typed_columns import united
from stellarrow.errors import ConfigError, Damaged
from stellarrow.filter import Filter
from stellarrow.ledgers import Network
from stellarrow.pipeline.spec_cache import SpecCache
from stellarrow.pipeline.spec_following import SpecFollower
from stellarrow.processor.session_decoder import Filtered, Slots, Ways
from stellarrow.storage.atomic import written_aside
from stellarrow.storage.private import private_file, private_folder

_FILE: Final = "typed.json"
_SESSIONS: Final = "sessions"
_SPECS: Final = "specs"

# What makes knowledge of the contracts of some tables, by what was said of them.
Knowing = Callable[[Sequence[str]], Knowledge]


@dataclass(frozen=True, slots=True)
class TypedSessions:
    """The typed tables of a processor's sessions; `tables` are known by name as long as it lives."""

    knowing: Knowing
    names: tuple[str, ...]
    tables: TypedTables
    cache: SpecCache

    @classmethod
    def of(cls, asked: Iterable[str], knowing: Knowing, state_dir: Path) -> TypedSessions | None:
        """Compile the tables that are asked for, and those that sessions have from earlier on."""
        held = _held(state_dir / _SESSIONS)
        names = [*filter(is_typed, asked)]
        if not (names or held):
            return None
        known = knowing([*names, *held])
        cache = SpecCache(state_dir / _SPECS)
        _find(known, cache)
        known.seed(held)
        return cls(knowing, tuple(names), known.tables(), cache)

    def expanded(self, asked: Sequence[str]) -> tuple[str, ...]:
        """Return all tables, typed ones each by its whole name."""
        return tuple(self.tables.expand(asked))

    def columns(self, folder: Path, tables: Sequence[str]) -> dict[str, pa.Schema]:
        """Return the columns of a session's typed tables: those it began with, which begin now."""
        names = [*filter(is_typed, tables)]
        if not names:
            return {}
        if held := _columns(_read(folder)):
            return held
        begun = {name: _whole(name) for name in {*names, *self._others(names)}}
        _write(folder, {"columns": {name: written(one) for name, one in begun.items()}, "ran": []})
        return begun

    def _others(self, names: Iterable[str]) -> list[str]:
        """Return the tables that rows go to which have none of their own."""
        targets = {f"typed:{target_of(name)}" for name in names}
        return [f"{target}/{rows}/_other" for target in targets for rows in ("events", "storage")]

    def follower(self, folder: Path, tables: Sequence[str], network: Network) -> SpecFollower | None:
        """Return what follows contracts for a session, as far as it was."""
        columns = self.columns(folder, tables)
        if not columns:
            return None
        known = self.knowing(list(columns))
        ran = _read(folder)["ran"]
        for contract, ledger, hash in ran:
            known.note(contract, ledger, hash)
        _find(known, self.cache)
        known.seed(columns)
        lock = threading.Lock()

        def noted(contract: str, ledger: int, hash: str | None) -> None:
            with lock:
                ran.append([contract, ledger, hash])
                _write(folder, {**_read(folder), "ran": ran})

        return SpecFollower(known, network, cache=self.cache, noted=noted)

    def filtered(self, name: str, network: Network, *, where: Filter, slots: Slots) -> Filtered:
        """Return what decodes a table of a range for one reader, with the columns there are now."""
        known = self.knowing([*self.tables.names])
        _find(known, self.cache)
        known.seed({one: _whole(one) for one in self.tables.names})
        follower = SpecFollower(known, network, cache=self.cache)
        return Filtered((name,), network=network, where=where, slots=slots, ways=Ways(), follower=follower)


def _whole(name: str) -> pa.Schema:
    found: Any = table(name)
    columns: pa.Schema = found.columns
    return columns


def _find(known: Knowledge, cache: SpecCache) -> None:
    for hash in known.missing():
        if code := cache.get(hash):
            known.add_code(hash, code)


def _held(sessions: Path) -> dict[str, pa.Schema]:
    """Return the columns of all sessions there are, united."""
    found: dict[str, list[pa.Schema]] = {}
    for path in sorted(sessions.glob(f"*/{_FILE}")):
        for name, columns in _columns(_read(path.parent)).items():
            found.setdefault(name, []).append(columns)
    return {name: united(columns) for name, columns in found.items()}


def _columns(report: dict[str, Any]) -> dict[str, pa.Schema]:
    return {name: as_schema(name, text) for name, text in report.get("columns", {}).items()}


def _read(folder: Path) -> dict[str, Any]:
    path = folder / _FILE
    try:
        report = json.loads(path.read_bytes())
        if not {"columns", "ran"} <= {*report}:
            raise ValueError("it lacks columns or ran")
        for name, text in report["columns"].items():
            as_schema(name, text)
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError, OSError, ConfigError) as error:
        raise Damaged(f"{path} is damaged ({error}): restore a sound copy, or start a new session") from error
    return dict(report)


def _write(folder: Path, report: dict[str, Any]) -> None:
    private_folder(folder)
    with written_aside(folder / _FILE) as aside, private_file(aside, "xb") as file:
        file.write(json.dumps(report).encode())
