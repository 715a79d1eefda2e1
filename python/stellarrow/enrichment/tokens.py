"""What contracts said of their tokens, as far as it was seen; kept over restarts."""

from __future__ import annotations

import logging
import sqlite3
import threading
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.enrichment.instance import Token, token_of
from stellarrow.storage.private import private_file, private_folder

_INSTANCE: Final = "ScValTypeScvLedgerKeyContractInstance"
_MOST: Final = 200_000  # tokens in memory; of more, the ones learned first are forgotten
_SCHEMA: Final = (
    "create table if not exists tokens (contract text primary key, ledger integer not null,"
    " decimals integer, name text, symbol text) strict"
)
_log: Final = logging.getLogger(__name__)


class Tokens:
    """By contract; the latest ledger counts. Any thread may call. What is saved outlives the process.

    It is a memory of what the ledgers say, so a damaged file is begun anew.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[int, Token]] = {}
        self._unsaved: dict[str, tuple[int, Token]] = {}
        self._seen: dict[str, int] = {}  # the hash of each contract's last instance
        self._database = _opened(path) if path else None
        if self._database:
            rows = self._database.execute("select contract, ledger, decimals, name, symbol from tokens")
            self._known = {contract: (ledger, Token(*said)) for contract, ledger, *said in rows}

    def get(self, contract: str) -> Token | None:
        """Return what a contract said of its token."""
        known = self._known.get(contract)
        return known[1] if known else None

    def learn(self, rows: pa.RecordBatch) -> int:
        """Take what rows of contract_data, of any version, say of tokens; return how many are new."""
        # Not compared with a value of Python: to see what that is, Arrow would import pandas (0.4 s).
        is_instance = pc.starts_with(rows.column("contract_key_type"), _INSTANCE)
        if not is_instance.true_count:
            return 0
        wanted = ["contract_id", "ledger_sequence", "deleted", "val_xdr"]
        instances = rows.select(wanted).filter(is_instance)
        learned: dict[str, tuple[int, Token]] = {}
        columns = (instances.column(name).to_pylist() for name in wanted)
        for contract, ledger, deleted, val in zip(*columns, strict=True):
            if deleted or val is None or self._seen.get(contract) == hash(val):
                continue
            self._seen[contract] = hash(val)
            token = token_of(val)
            known = learned.get(contract) or self._known.get(contract)
            if token and not (known and (known[0] > ledger or known[1] == token)):
                learned[contract] = (ledger, token)
        if learned:
            self._note(learned)
        return len(learned)

    def _note(self, learned: dict[str, tuple[int, Token]]) -> None:
        with self._lock:
            self._known |= learned
            self._unsaved |= learned
            for memory in (self._known, self._seen):
                if len(memory) > _MOST:
                    for oldest in list(memory)[: len(memory) - _MOST]:
                        del memory[oldest]

    def save(self) -> None:
        """Make what was learned durable: once for many ledgers, as the disk is waited for."""
        with self._lock:
            learned, self._unsaved = self._unsaved, {}
            if not self._database or not learned:
                return
            rows = [
                (contract, ledger, one.decimals, one.name, one.symbol)
                for contract, (ledger, one) in learned.items()
            ]
            try:
                self._database.executemany("insert or replace into tokens values (?, ?, ?, ?, ?)", rows)
                self._database.commit()
            except sqlite3.Error as error:
                _log.warning("what tokens are called is not kept over a restart: %s", error)

    def close(self) -> None:
        self.save()
        if self._database:
            with self._lock:
                self._database.close()


def _opened(path: Path) -> sqlite3.Connection | None:
    try:
        private_folder(path.parent)
        private_file(path, "ab").close()
        for _ in range(2):
            database = sqlite3.connect(path, check_same_thread=False)
            try:
                database.execute("pragma journal_mode = wal")
                database.execute(_SCHEMA)
                database.execute("select count(*) from tokens").fetchone()
                return database
            except sqlite3.DatabaseError:
                database.close()
                path.unlink()
                private_file(path, "ab").close()
    except (OSError, sqlite3.Error) as error:
        _log.warning("%s cannot be used (%s): tokens are learned anew after a restart", path, error)
    return None
