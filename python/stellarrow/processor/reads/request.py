"""What a Flight client may ask for: a path, or a JSON command; every mistake is told in a sentence."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from stellarrow.core.named_queries import Catalogue
from stellarrow.core.tables import is_typed, schema, table
from stellarrow.enrichment.transfers import TABLE as ENRICHED
from stellarrow.enrichment.transfers import enriched_schema
from stellarrow.errors import ConfigError, nearest
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange
from stellarrow.net.bounded_json import JsonObject
from stellarrow.net.redaction import shortened
from stellarrow.sql.named import AGGREGATE, FILTER, PROJECTION

if TYPE_CHECKING:
    from stellarrow.sql.aggregation import Aggregation

EARLIEST: Final = "earliest"
LATEST: Final = "latest"
PLACE: Final = "kept"  # where a named reader was, from the earliest on at first
_COMMAND_BYTES: Final = 4 << 20  # lists of contracts may be long
COMPATIBLE: Final = (("contract", "data"), "contract_data@1.0")  # the path older clients know, and its table

_READER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEYS: Final = (
    *("table", "version", "start_ledger", "end_ledger", "contract_ids", "asset_codes", "event_names"),
    *("columns", "where", "select", "filter", "projection", "aggregate", "window"),
    *("from", "follow", "decoded", "enriched", "reader"),
)
# The column by which rows are told to be among those listed; a contract also tells its asset.
_LISTS: Final = {"contract_ids": "contract_id", "asset_codes": "contract_id", "event_names": "event_name"}


class NoCommand(Exception):
    """The bytes are another protocol's, such as Flight SQL's; nothing is wrong with them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An aggregate instead of rows: its name, its window, none for the whole range, and what it means."""

    name: str
    window: str
    meant: Aggregation = field(compare=False, repr=False)

    @property
    def schema(self) -> pa.Schema:
        return self.meant.schema(self.window)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One table, of ledgers decoded on demand, or, without a range, of what the sessions keep.

    `table` is `name@version`, `origin` is earliest, latest, a resume token, or kept: the place of a `reader`
    that has a name.
    """

    table: str
    ledgers: LedgerRange | None = None
    origin: str = EARLIEST
    follow: bool = True
    where: Filter = field(default_factory=Filter)
    columns: tuple[str, ...] = ()
    decoded: bool = False
    aggregate: Asked | None = None
    enriched: bool = False
    reader: str = ""

    def __post_init__(self) -> None:
        if self.enriched:
            self._check_enriched()
        if self.aggregate:
            self._check_aggregate(self.aggregate)
        self._check_reader()
        if self.ledgers and self.origin == LATEST:
            raise ConfigError('"from": "latest" and start_ledger cannot both be meant: leave one out')
        if self.decoded and not self.ledgers:
            raise ConfigError("sessions keep no decoded columns: name start_ledger too, and they are made")
        known = schema(self.table, decoded=self.decoded).names
        for listed, column in _LISTS.items():
            if getattr(self.where, listed) and column not in known and not self._decodes_keys:
                raise ConfigError(f"{self.table} has no {column}: leave {listed} out")
        if len(set(self.columns)) < len(self.columns):
            raise ConfigError("a column is named twice: name it once")
        for column in self.columns:
            if column not in known:
                raise ConfigError(
                    f"{self.table} has no column {shortened(column)!r}: {_nearest(column, known)}"
                )

    def _check_reader(self) -> None:
        if self.reader and (self.ledgers or self.aggregate):
            raise ConfigError(
                "a reader's place is one in what sessions keep: leave start_ledger and aggregate out"
            )
        if self.origin == PLACE and not self.reader:
            raise ConfigError('"from": "kept" is the place of a reader: name it, too')

    def _check_enriched(self) -> None:
        if self.table.partition("@")[0] != ENRICHED:
            raise ConfigError(f"enriched adds columns to {ENRICHED} alone: leave it out for {self.table}")
        if self.columns or self.where.select or self.aggregate:
            raise ConfigError(
                "enriched adds columns to those of the table: leave columns, select, projection and"
                " aggregate out"
            )

    def _check_aggregate(self, asked: Asked) -> None:
        if self.columns or self.where.select:
            raise ConfigError(
                "an aggregate makes columns of its own: leave columns, select and projection out"
            )
        if self.follow and not asked.window and not (self.ledgers and self.ledgers.last):
            raise ConfigError(
                'an aggregate of what is still to come has no end: give a "window", such as "1h", or leave'
                ' "follow" out'
            )
        if self.origin == LATEST and not self.follow:
            raise ConfigError('there is nothing after the latest ledger to aggregate: add "follow": true')

    @property
    def schema(self) -> pa.Schema:
        """What is answered with."""
        if self.aggregate:
            return self.aggregate.schema
        whole = schema(self.table, decoded=self.decoded, where=Filter(select=self.where.select))
        if self.enriched:
            return enriched_schema(whole)
        if not self.columns:
            return whole
        return pa.schema([whole.field(name) for name in self.columns], metadata=whole.metadata)

    @property
    def _decodes_keys(self) -> bool:
        """Whether contracts are seen while decoding, though no column tells them."""
        return self.ledgers is not None and self.table.startswith("evictions@")

    @property
    def shape(self) -> str:
        """What a resume token must have been made for: the same of the same rows in the same order."""
        shape = [self.table, str(self.where), self.ledgers.first if self.ledgers else None]
        if asked := self.aggregate:
            ends = [self.follow, self.ledgers.last if self.ledgers else None]
            shape += [asked.meant.text, asked.window, *ends]
        answer = json.dumps(shape)
        return f"{zlib.crc32(answer.encode()):08x}"

    def ticket(self) -> bytes:
        """Return the command as parse() reads it, the same bytes for the same command."""
        name, at, version = ("", "", "") if is_typed(self.table) else self.table.rpartition("@")
        report: dict[str, Any] = {
            "table": name or self.table,
            **({"version": version} if at else {}),
            "from": self.origin,
            "follow": self.follow,
        }
        if self.ledgers:
            report |= {"start_ledger": self.ledgers.first, "end_ledger": self.ledgers.last or 0}
        report |= json.loads(str(self.where) or "{}")
        if self.columns:
            report["columns"] = self.columns
        if self.decoded:
            report["decoded"] = True
        if self.enriched:
            report["enriched"] = True
        if self.reader:
            report["reader"] = self.reader
        if self.aggregate:
            report |= {"aggregate": self.aggregate.name, "window": self.aggregate.window}
        return json.dumps(report).encode()


def of_path(path: Sequence[bytes | str]) -> Command:
    """Read `contract/data`, `table` or `table/version`."""
    words = tuple(_text(word) for word in path)
    if words and is_typed(words[0]):
        return Command(table=str(table("/".join(words))))
    if words == COMPATIBLE[0]:
        return Command(table=COMPATIBLE[1])
    if len(words) not in (1, 2):
        raise ConfigError(
            f"the path {shortened('/'.join(words))!r} names no table: write [table] or [table, version]"
        )
    return Command(table=str(table("@".join(words))))


def parse(command: bytes, queries: Catalogue | None = None) -> Command:
    """Read a JSON command, with these named queries; NoCommand where it is not even meant to be one."""
    if not command.lstrip().startswith(b"{"):
        raise NoCommand
    asked = JsonObject.read(command, "the command", keys=_KEYS, largest=_COMMAND_BYTES)
    known = queries or Catalogue()
    name = _table(asked, known)
    ledgers = _ledgers(asked.ledger("start_ledger"), asked.ledger("end_ledger"))
    bounded = ledgers is not None and ledgers.last is not None
    decoded = asked.truth("decoded", default=False)
    aggregate = _aggregate(asked, name, known, decoded=decoded)
    reader = asked.text("reader")
    return Command(
        table=name,
        ledgers=ledgers,
        origin=asked.text("from") or (PLACE if reader else EARLIEST),
        follow=asked.truth("follow", default=not bounded and not aggregate),
        where=_where(asked, name, known, decoded=decoded),
        columns=asked.texts("columns"),
        decoded=decoded,
        aggregate=aggregate,
        enriched=asked.truth("enriched", default=False),
        reader=checked_reader(reader) if reader else "",
    )


def _table(asked: JsonObject, known: Catalogue) -> str:
    """Return the table that is named, or the one that a named query is of, as `name@version`."""
    name, version = asked.text("table"), asked.text("version")
    for kind in (AGGREGATE, FILTER, PROJECTION):
        if not name and (query := asked.text(kind)):
            name = known.find(query, kind).table
    if not name:
        raise ConfigError('the command names no table: add "table", such as "contract_events"')
    if is_typed(name):
        return str(table(name))
    return str(table(f"{name.partition('@')[0]}@{version}" if version else name))


def _where(asked: JsonObject, name: str, known: Catalogue, *, decoded: bool) -> Filter:
    where = Filter(
        contract_ids=asked.texts("contract_ids"),
        asset_codes=asked.texts("asset_codes"),
        event_names=asked.texts("event_names"),
        where=asked.text("where"),
        select=asked.text("select"),
    )
    if where.select and asked.texts("columns"):
        raise ConfigError("columns say what select says: give one of them")
    where = known.filtered(where, asked.text("filter"), [name], decoded=decoded)
    if asked.text("projection") and asked.texts("columns"):
        raise ConfigError("columns say what the projection says: give one of them")
    return known.projected(where, asked.text("projection"), [name], decoded=decoded)


def _aggregate(asked: JsonObject, name: str, known: Catalogue, *, decoded: bool) -> Asked | None:
    query, window = asked.text("aggregate"), asked.text("window")
    if not query:
        if window:
            raise ConfigError('a "window" is of an "aggregate": name that, too')
        return None
    from stellarrow.sql.windows import window_named  # noqa: PLC0415  an extra

    _, meant = known.aggregation(query, name, decoded=decoded)
    return Asked(query, window_named(window), meant)


def checked_reader(name: str) -> str:
    """Return a reader's name; ConfigError where it cannot be one."""
    if not _READER.fullmatch(name):
        raise ConfigError(
            f"reader is {shortened(name)!r}: write 1 to 64 letters, digits, '.', '_' or '-', the first of"
            " them a letter or a digit"
        )
    return name


def _ledgers(first: int, last: int) -> LedgerRange | None:
    if last and not first:
        raise ConfigError(f"end_ledger is {last}, but there is no start_ledger: name it too")
    return LedgerRange(first, last or None) if first else None


def _text(word: bytes | str) -> str:
    return word if isinstance(word, str) else word.decode("utf-8", "replace")


def _nearest(word: str, known: Sequence[str]) -> str:
    return nearest(word, known, f"choose among {', '.join(known)}", show=repr)
