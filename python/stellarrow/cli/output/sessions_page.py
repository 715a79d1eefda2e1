"""A processor's sessions on a page of any width: numbers whole, messages wrapped between words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from stellarrow.cli.output import formatting
from stellarrow.cli.output.columns import GAP, Column, fitting, headings, lines, row, width_of

Session = dict[str, Any]

_STYLES: Final = {"RUNNING": "green", "STARTING": "green", "ERROR": "bold red", "STOPPING": "yellow"}
_ENDED: Final = frozenset({"STOPPED", "ERROR"})
_RECENT: Final = 4  # sessions that have ended, shown
_READERS: Final = 12  # shown, those farthest behind first
_RARE: Final = ("read", "up to", "spool", "lag", "entries/s")  # left out first where the page is narrow


def drawn(sessions: Sequence[Session], width: int, *, whole_ids: bool) -> Group:
    """Return the page of sessions as /sessions tells them."""
    if not sessions:
        return Group(Text("no session yet: StartProcessing, or --start-ledger, starts one"))
    name = str if whole_ids else formatting.address
    ended = [one for one in sessions if one["status"] in _ENDED]
    older = ended[:-_RECENT]
    shown = [one for one in sessions if one not in older]
    lines = [*_overview(shown, width, name)]
    if older:
        lines.append(Text(f"and {formatting.many(len(older), 'session')} that ended before", style="dim"))
    return Group(*lines, Text(), *_tables(shown, width, name), Text(), *_readers(shown, name))


def _overview(
    sessions: Sequence[Session], width: int, name: Callable[[str], str]
) -> Iterator[Text | Padding]:
    columns, left_out = fitting(_columns(sessions, name), width, _RARE)
    yield headings(columns)
    for at, one in enumerate(sessions):
        yield row([column.line(column.cells[at]) for column in columns])
        if one["message"]:
            yield Padding(Text(one["message"], style="yellow"), (0, 0, 0, GAP))
    if left_out:
        yield Text(f"no room for: {', '.join(left_out)}", style="dim")


def _columns(sessions: Sequence[Session], name: Callable[[str], str]) -> list[Column]:
    def numbers(heading: str, shown: Callable[[Session], str]) -> Column:
        return Column(heading, [Text(shown(one)) for one in sessions])

    states = [Text(one["status"], style=_STYLES.get(one["status"], "dim")) for one in sessions]
    return [
        Column("session", [Text(name(one["id"])) for one in sessions], is_text=True),
        Column("status", states, is_text=True),
        numbers("ledger", lambda one: str(one["current"] or "-")),
        numbers("up to", lambda one: str(one["last"] or "open")),
        numbers("lag", lambda one: "-" if one["lag"] is None else formatting.seconds(one["lag"])),
        numbers("entries/s", lambda one: formatting.count(one["entries_per_second"])),
        numbers("entries", lambda one: formatting.count(one["entries"])),
        numbers("read", lambda one: formatting.size(one["bytes"])),
        numbers("spool", lambda one: formatting.size(one["spool_bytes"])),
    ]


def _tables(sessions: Sequence[Session], width: int, name: Callable[[str], str]) -> Iterator[Text]:
    """Yield the rows of each table, beside one another for as many sessions as fit, then for the next."""
    names = list(dict.fromkeys(table for one in sessions for table in one["rows"]))
    if not names:
        return
    tables = Column("rows", [Text(table) for table in names], is_text=True)
    columns = [
        Column(name(one["id"]), [Text(formatting.count(one["rows"].get(table, 0))) for table in names])
        for one in sessions
    ]
    while columns:
        beside = [tables, columns.pop(0)]
        while columns and width_of([*beside, columns[0]]) <= width:
            beside.append(columns.pop(0))
        yield from lines(beside)
        if columns:
            yield Text()


def _readers(sessions: Sequence[Session], name: Callable[[str], str]) -> Iterator[Text]:
    readers = [(name(one["id"]), reader) for one in sessions for reader in one["readers"]]
    readers.sort(key=lambda pair: -pair[1]["behind"])
    shown = readers[:_READERS]
    title = formatting.many(len(readers), "reader")
    yield from lines(
        [
            Column("session", [Text(session) for session, _ in shown], is_text=True),
            Column(title, [Text(one["name"].rpartition(" ")[0]) for _, one in shown], is_text=True),
            Column("ledgers behind", [Text(formatting.count(one["behind"])) for _, one in shown]),
        ]
    )
