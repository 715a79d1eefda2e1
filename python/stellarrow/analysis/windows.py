"""Figures in memory, fed with whole ledgers: volume, transfers, unique accounts, fees, activity of contracts.

A row is counted once, in its minute; minutes are merged into five minutes, these into hours, days, weeks and
the total. Ledgers that came before are left out, so late and repeated ones are harmless. Assets and contracts
that are told apart are bounded in number and bytes: the least active are counted together beyond that, and
what lacks rows of its own since says so (`complete` is false).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final

import pyarrow as pa

from stellarrow.core.figures import COUNTED_TABLES, Figures
from stellarrow.errors import ConfigError, SourceError, nearest
from stellarrow.ledgers import LedgerBatch, LedgerRange
from stellarrow.net.redaction import shortened
from stellarrow.net.refused import Refused

WINDOWS: Final = ("1m", "5m", "1h", "24h", "7d", "total")


@dataclass(frozen=True, slots=True)
class Name:
    """One kind of figures: the table it is made of, what it is by, and how its columns are named."""

    table: str
    summary: str
    keyed: str | None = None  # asset or contract
    orders: tuple[str, ...] = ()
    renamed: Mapping[str, str] | None = None


NAMES: Final[Mapping[str, Name]] = {
    "network": Name("ledgers", "ledgers, their pace and their transactions"),
    "transfers": Name(
        "token_transfers",
        "token transfers of all assets together, or of one",
        "asset",
        ("volume", "transfers", "transactions", "mints", "burns"),
    ),
    "events": Name(
        "contract_events",
        "events that contracts emitted",
        "contract",
        ("events", "transactions"),
        {"rows": "events", "marked": "failed"},
    ),
    "storage": Name(
        "contract_data",
        "entries of contracts that were written",
        "contract",
        ("changes", "transactions"),
        {"rows": "changes", "marked": "deletions"},
    ),
}


@dataclass(frozen=True, slots=True)
class Question:
    """The windows of a name, for all together or one key; or, with `top`, so many keys of the newest one."""

    name: str
    window: str
    _: KW_ONLY
    key: str | None = None
    top: int | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Figures, and the first and the last ledger that were counted for them; none before there is one."""

    rows: pa.Table
    ledgers: LedgerRange | None


TABLES: Final = tuple(sorted(COUNTED_TABLES))
_MOST_KEYS: Final = 100_000
_MOST_BYTES: Final = 192 << 20


class Analytics:
    """Every window of every name, up to the last ledger that was fed.

    Args:
        most_keys: Assets, and contracts, that are told apart.
        most_bytes: Bytes that figures take, about; the least active keys are counted together beyond them.
        only: The one key that is told apart, where no other is asked for.
        keeps_all: Keep every window, not the latest of each length alone.
    """

    def __init__(
        self,
        *,
        most_keys: int = _MOST_KEYS,
        most_bytes: int = _MOST_BYTES,
        only: str | None = None,
        keeps_all: bool = False,
    ) -> None:
        self._figures = Figures(most_keys, most_bytes, _key(only), keeps_all)

    def count(self, batch: LedgerBatch) -> None:
        """Count a batch of a Decoder that keeps what is counted, without another copy of its rows."""
        self._feed([*batch.counted.items()], LedgerRange(batch.first, batch.last), batch.run.last_closed_at)

    def add(self, batches: Mapping[str, pa.RecordBatch], ledgers: LedgerRange, closed_at: int) -> None:
        """Count whole ledgers, whose last closed at a time in Unix seconds; other tables are passed by.

        Raises:
            SourceError: a batch is not of the table it is said to be.
        """
        named = [(table.partition("@")[0], batch) for table, batch in batches.items()]
        counted = [
            (name, batch.select(counted_columns(name, batch.schema.names)))
            for name, batch in named
            if name in TABLES
        ]
        self._feed(counted, ledgers, closed_at)

    def _feed(self, batches: list[tuple[str, Any]], ledgers: LedgerRange, closed_at: int) -> None:
        first = [
            (name, _up_to(batch, ledgers.first)) for name, batch in batches if self._begins(name, ledgers)
        ]
        try:
            if first:
                self._figures.feed(first, ledgers.first, 0)
            self._figures.feed(batches, ledgers.end, closed_at)
        except ValueError as error:
            raise SourceError(f"rows of {error}") from error

    def _begins(self, table: str, ledgers: LedgerRange) -> bool:
        """Tell whether a table's first ledger is to be counted by itself, as the core notes whole batches."""
        return ledgers.first < ledgers.end and not self._figures.ledgers(table)[1]

    def ledgers(self, name: str) -> LedgerRange | None:
        """Return the first and the last ledger that figures of a name include, None before there are any."""
        first, last = self._figures.ledgers(_named(name).table)
        return LedgerRange(first, last) if last else None

    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all of them at one moment, whatever is counted meanwhile: the same ledgers are in each.

        Raises:
            ConfigError: there is no such name, window, key or order.
        """
        kinds = [_named(one.name) for one in questions]
        found = self._figures.ask([_asked(kind, one) for kind, one in zip(kinds, questions, strict=True)])
        return [
            Answer(_table(kind, rows), LedgerRange(first, last) if last else None)
            for kind, (rows, (first, last)) in zip(kinds, found, strict=True)
        ]

    def series(self, name: str, window: str = "1h", *, key: str | None = None) -> pa.Table:
        """Return a row a window that is kept, the oldest first; the last is the one that is still open.

        Args:
            name: One of NAMES.
            window: One of WINDOWS. Weeks begin on Mondays; all are in UTC.
            key: An asset (`native`, `CODE:ISSUER`, a contract's id), or a contract; none for all together.

        Raises:
            ConfigError: there is no such name or window, or it has no keys.
        """
        return self.ask([Question(name, window, key=key)])[0].rows

    def foremost(self, name: str, window: str = "24h", *, by: str | None = None, limit: int = 10) -> pa.Table:
        """Return the foremost assets or contracts of the window that is open, a row each.

        What is not told apart any more is one row without a contract_id.

        Raises:
            ConfigError: there is no such name, window or order.
        """
        return self.ask([Question(name, window, by=by, top=limit)])[0].rows

    @property
    def last(self) -> int:
        """The last ledger that was counted of every table, 0 before there is one."""
        lasts = [self._figures.ledgers(table)[1] for table in TABLES]
        return max(lasts)

    @property
    def size_bytes(self) -> int:
        """Bytes all figures take, about."""
        return self._figures.bytes

    def limit(self, most_bytes: int) -> None:
        """Let figures take so many bytes from now on."""
        self._figures.limit(most_bytes)

    def saved(self) -> bytes:
        """Return all of it, between ledgers, for `restore`."""
        return self._figures.saved()

    def restore(self, saved: bytes) -> None:
        """Go on from what was saved; only where nothing was counted yet.

        Raises:
            SourceError: These are not the bytes that were saved.
        """
        try:
            self._figures.restore(saved)
        except ValueError as error:
            raise SourceError(str(error)) from error


# What is counted; other columns need not cross into the core.
_COUNTED: Final = frozenset(
    (
        *("ledger_sequence", "closed_at", "transaction_index", "transaction_successful", "event_type"),
        *(
            "contract_id",
            "asset_type",
            "asset_code",
            "asset_issuer",
            "from",
            "to",
            "amount_raw",
            "amount_text",
        ),
        *("deleted", "transaction_count", "successful_transaction_count", "size_bytes"),
    )
)


def counted_columns(table: str, names: list[str]) -> list[str]:
    of_contracts = table == "contract_data"
    return [name for name in names if name in _COUNTED and not (of_contracts and name.startswith("asset"))]


def _up_to(batch: Any, ledger: int) -> pa.RecordBatch:
    """Return a batch's rows, which are in ledger order, up to a ledger."""
    rows = pa.record_batch(batch)
    ledgers = rows["ledger_sequence"]
    return rows[: bisect_right(range(rows.num_rows), ledger, key=lambda row: ledgers[row].as_py())]


def _key(asked: str | None) -> str | None:
    """Write the lumen as the tables do."""
    return "native" if asked is not None and asked.upper() == "XLM" else asked


def _table(kind: Name, found: Any) -> pa.Table:
    batch = pa.record_batch(found)
    renamed = kind.renamed or {}
    table = pa.Table.from_batches([batch]).rename_columns(
        [renamed.get(name, name) for name in batch.schema.names]
    )
    if kind.keyed is None:
        return table.drop_columns(["contract_id", "label", "complete"])
    if kind.keyed == "contract":
        return table.drop_columns(["label"])
    return table.rename_columns(["asset" if name == "label" else name for name in table.schema.names])


def _asked(kind: Name, question: Question) -> tuple[str, str, str | None, tuple[str, int] | None]:
    """Write a question as the core reads it."""
    if question.key is not None and kind.keyed is None:
        raise ConfigError(f"analytics/{question.name} is of the whole network: leave {question.key!r} out")
    ranked = None if question.top is None else (_order(kind, question), question.top)
    return kind.table, _window(question.window), _key(question.key), ranked


def _order(kind: Name, question: Question) -> str:
    if not kind.orders:
        raise Refused(
            f"analytics/{question.name} is of the whole network: there is nothing to rank", field="top"
        )
    wanted = question.by or kind.orders[0]
    if wanted not in kind.orders:
        raise Refused(f"by is {shortened(wanted)!r}: it must be {', '.join(kind.orders)}", field="by")
    before = {new: old for old, new in (kind.renamed or {}).items()}
    return before.get(wanted, wanted)


def _named(name: str) -> Name:
    found = NAMES.get(name.removeprefix("analytics/"))
    if found is None:
        raise ConfigError(f"there are no analytics {shortened(name)!r}: {_nearest(name, NAMES)}")
    return found


def _window(window: str) -> str:
    if window not in WINDOWS:
        raise Refused(f"window is {shortened(window)!r}: {_nearest(window, WINDOWS)}", field="window")
    return window


def _nearest(word: str, known: Mapping[str, Name] | tuple[str, ...]) -> str:
    return nearest(word, known, f"it must be {', '.join(known)}")
