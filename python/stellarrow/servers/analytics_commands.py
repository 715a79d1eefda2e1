"""What may be asked of tables over Flight: a path, or a JSON command; every mistake is told in a sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from stellarrow.analysis.reads.conditions import Conditions
from stellarrow.analysis.reads.reading import Question
from stellarrow.analysis.reads.tailing import EARLIEST, LATEST
from stellarrow.analysis.request import FiguresRequest, is_figures
from stellarrow.analysis.request import of_path as figures_of_path
from stellarrow.analysis.request import parse as parse_figures
from stellarrow.core.tables import table
from stellarrow.errors import ConfigError
from stellarrow.ledgers import LedgerRange
from stellarrow.net.bounded_json import JsonObject
from stellarrow.net.redaction import shortened

_COMMAND_BYTES: Final = 4 << 20  # lists of contracts may be long
_LISTS: Final = ("contract_ids", "accounts", "assets", "event_types", "event_names")
_KEYS: Final = (
    *("table", "version", "start_ledger", "end_ledger", *_LISTS, "asset_codes"),
    *("columns", "where", "from", "follow"),
)
_OF_SESSIONS: Final = (  # what the processor's Flight takes beside them
    *("decoded", "enriched", "reader", "select", "filter", "projection", "aggregate", "window"),
)
_SQL_KEYS: Final = ("sql", "params", "limit", "timeout")


class NoCommand(Exception):
    """The bytes are another protocol's, such as Flight SQL's; nothing is wrong with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsCommand:
    """Rows of a table from a place on; `follow` goes on with what comes, up to the range's end."""

    question: Question
    origin: str = EARLIEST
    follow: bool = True

    def until(self, last: int) -> RowsCommand:
        """Return the same up to a ledger, which nothing that comes changes."""
        first, end = self.question.ledgers.first, min(self.question.ledgers.end, last)
        if self.follow or end < first:
            return self
        return replace(self, question=replace(self.question, ledgers=LedgerRange(first, end)))

    def ticket(self) -> bytes:
        """Return the command as parse() reads it."""
        asked = self.question
        told: dict[str, Any] = {
            "table": asked.table,
            "start_ledger": asked.ledgers.first,
            "end_ledger": asked.ledgers.last or 0,
            "columns": asked.columns,
            "from": self.origin,
            "follow": self.follow,
            **asked.conditions.to_dict(),
        }
        return json.dumps({name: value for name, value in told.items() if value not in (0, ())}).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlCommand:
    """A query, as `POST /v1/query` has it."""

    given: dict[str, Any]

    def ticket(self) -> bytes:
        return json.dumps(self.given).encode()


Command = RowsCommand | SqlCommand | FiguresRequest


def of_path(path: Sequence[bytes]) -> Command:
    """Read `table`, `table/version`, `analytics/NAME` or `analytics/NAME/WINDOW`."""
    words = tuple(word.decode("utf-8", "replace") for word in path)
    if words[:1] == ("analytics",):
        return figures_of_path(words[1:])
    if words == ("contract", "data"):
        raise ConfigError("the path contract/data is of a processor's sessions (8816): ask for contract_data")
    if len(words) not in (1, 2):
        shown = shortened("/".join(words))
        raise ConfigError(f"the path {shown!r} names no table: write [table] or [analytics, NAME]")
    return RowsCommand(question=Question(table=_newest(*words)))


def parse(command: bytes) -> Command:
    """Read a JSON command; NoCommand where it is not even meant to be one."""
    if not command.lstrip().startswith(b"{"):
        raise NoCommand
    if is_figures(command):
        found = parse_figures(command)
        if found.session:
            raise ConfigError("session is of a processor's figures: leave it out")
        return found
    if _is_sql(command):
        asked = JsonObject.read(command, "the command", keys=_SQL_KEYS, largest=_COMMAND_BYTES)
        asked.text("sql")
        return SqlCommand(given=json.loads(command))
    return _rows(
        JsonObject.read(command, "the command", keys=(*_KEYS, *_OF_SESSIONS), largest=_COMMAND_BYTES)
    )


def _rows(asked: JsonObject) -> RowsCommand:
    if taken := sorted(name for name in _OF_SESSIONS if asked.has(name)):
        raise ConfigError(
            f"{taken[0]} is of a processor's sessions (8816): leave it out here, or ask for SQL or figures"
        )
    name = asked.text("table")
    if not name:
        raise ConfigError('the command names no table: add "table", such as "token_transfers", or "sql"')
    lists = {one: asked.texts(one) for one in _LISTS}
    lists["assets"] += asked.texts("asset_codes")  # the word of the processor's Flight
    conditions = Conditions(**lists, where=asked.text("where")).checked()
    first, last = asked.ledger("start_ledger"), asked.ledger("end_ledger")
    if last and last < first:
        raise ConfigError(f"end_ledger is {last}, before start_ledger {first}: swap them")
    origin = asked.text("from") or EARLIEST
    if origin == LATEST and first:
        raise ConfigError('"from": "latest" and start_ledger cannot both be meant: leave one out')
    return RowsCommand(
        question=Question(
            table=_newest(name, asked.text("version")),
            ledgers=LedgerRange(first, last or None),
            conditions=conditions,
            columns=asked.texts("columns"),
        ),
        origin=origin,
        follow=asked.truth("follow", default=not last),
    )


def _newest(name: str, version: str = "") -> str:
    """Return a table's name; only newest versions are kept here, older ones are columns of them."""
    plain, _, tagged = name.partition("@")
    asked = version or tagged
    if not asked:
        return plain
    meant = table(f"{plain}@{asked}")
    if str(meant) != str(table(meant.name)):
        newest = table(meant.name).version
        raise ConfigError(f"{meant} is an older version: ask for {newest}, which has its columns")
    return meant.name


def _is_sql(command: bytes) -> bool:
    try:
        given = json.loads(command)
    except (ValueError, RecursionError):
        return False
    return isinstance(given, dict) and "sql" in given
