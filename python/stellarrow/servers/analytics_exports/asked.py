"""What an export is asked for: a table's rows under conditions, or SQL; every mistake in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stellarrow.analysis.reads.conditions import Conditions
from stellarrow.analysis.reads.paging import first_mark, refuse_departed
from stellarrow.analysis.reads.reading import Question, Tables
from stellarrow.analysis.reads.refusals import NotFound, Refused, blaming
from stellarrow.analysis.reads.times import Times
from stellarrow.errors import nearest
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.net.bounded_json import JsonObject
from stellarrow.net.redaction import shortened
from stellarrow.servers.analytics_http.query import read_sql

FORMATS: Final = ("parquet", "ndjson", "csv")
_LISTS: Final = ("contract_ids", "accounts", "assets", "event_types", "event_names")
_BOUNDS: Final = ("start", "end")
_OF_TABLES: Final = ("table", "start", "end", "columns", *_LISTS, "where")
_OF_SQL: Final = ("sql", "params")
_LISTED: Final = ("columns", *_LISTS)
_LONGEST: Final = {"where": 8_192, "sql": 100_000}  # characters; of others 256
_MOST_VALUES: Final = 500
MOST_GAPS: Final = 100  # told of an export
KEYS: Final = ("format", *_OF_TABLES, *_OF_SQL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be exported; of a table as of one ledger, and of these ledgers."""

    format: str
    query: Mapping[str, Any]
    as_of: int = 0
    ledgers: LedgerSet
    gaps: tuple[Mapping[str, Any], ...] = ()  # of what is asked for, what left


def read(given: Mapping[str, Any], tables: Tables) -> Asked:
    """Read what was posted, and look what of it is there now."""
    given = {name: _as_in_a_url(name, value) for name, value in given.items()}
    for name in given:
        if name not in KEYS:
            remedy = nearest(name, KEYS, f"there are {', '.join(KEYS)}")
            raise Refused(f"there is no field {shortened(name)!r}: {remedy}", field=shortened(name))
        _check_size(name, given[name])
    format_name = given.get("format")
    if format_name not in FORMATS:
        raise Refused(
            f"format is {shortened(repr(format_name))}: it must be {' or '.join(FORMATS)}", field="format"
        )
    query = {name: value for name, value in given.items() if name != "format"}
    if ("sql" in query) is ("table" in query):
        raise Refused("name what to export: either a table, or sql", field="table")
    if "sql" in query:
        _only(query, _OF_SQL, "sql")
        read_sql(query)
        return Asked(format=format_name, query=query, ledgers=LedgerSet())
    _only(query, _OF_TABLES, "a table")
    return _of_table(format_name, query, tables)


def question_of(query: Mapping[str, Any]) -> Question:
    """Return what is asked of a table, of all ledgers."""
    asked = JsonObject(dict(query))
    lists = {}
    for name in _LISTS:
        with blaming(name):
            lists[name] = asked.texts(name)
    with blaming("where"):
        conditions = Conditions(**lists, where=asked.text("where")).checked()
    with blaming("columns"):
        columns = asked.texts("columns")
    with blaming("table"):
        return Question(table=asked.text("table"), conditions=conditions, columns=columns)


def _of_table(format_name: str, query: dict[str, Any], tables: Tables) -> Asked:
    question = question_of(query)
    snapshot = tables.snapshot(question.table)
    snapshot.read(question, LedgerRange(0, 0))  # what is wrong with it is told now
    bounds = []
    for name in _BOUNDS:
        with blaming(name):
            bounds.append(JsonObject(query).text(name))
    due = Times(tables).range(question.table, *bounds)
    if due is None:
        return Asked(format=format_name, query=query, as_of=snapshot.as_of, ledgers=LedgerSet())
    if bounds[0] or bounds[1]:
        refuse_departed(snapshot, due)
    mark = first_mark(snapshot, Question(table=question.table, ledgers=due))
    ledgers = snapshot.coverage & LedgerSet([LedgerRange(due.first, max(due.first, mark.as_of))])
    gaps = tuple(one.to_dict() for one in snapshot.gaps(due)[:MOST_GAPS])
    if not ledgers and not gaps and due.first > snapshot.as_of:
        raise NotFound(
            f"ledger {due.first} has not come yet: the last one is {snapshot.as_of}", field="start"
        )
    as_of = mark.as_of if ledgers else snapshot.as_of
    return Asked(format=format_name, query=query, as_of=as_of, ledgers=ledgers, gaps=gaps)


def _as_in_a_url(name: str, value: Any) -> Any:
    """Return a value as lists and texts, which it may be given as a URL has it, or a ledger as a number."""
    if name in _LISTED and isinstance(value, str) and value:
        return [one.strip() for one in value.split(",")]
    return str(value) if name in _BOUNDS and type(value) is int else value


def _check_size(name: str, value: Any) -> None:
    """Refuse what is empty or longer than the reference says; of which kind it is, is looked at later."""
    if value is None:
        raise Refused(f"{name} is null: give a value, or leave it out", field=name)
    longest = _LONGEST.get(name, 256)
    values = value if isinstance(value, list) and name in _LISTED else [value]
    if len(values) > _MOST_VALUES:
        raise Refused(f"{name} has {len(values)} values: {_MOST_VALUES} are read at most", field=name)
    for one in values:
        if one == "":
            raise Refused(f"{name} is empty: give a value, or leave it out", field=name)
        if isinstance(one, str) and len(one) > longest:
            raise Refused(f"{name} has {len(one)} characters: {longest} are read at most", field=name)


def _only(query: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    for name in query:
        if name not in known:
            raise Refused(f"{name} cannot be asked of {what}: leave it out", field=name)
