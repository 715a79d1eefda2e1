"""A prompt for queries, with history and completion; readline does both and costs nothing to import."""

from __future__ import annotations

import os
import readline
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa

from stellarrow.cli.output import formatting, result_table
from stellarrow.cli.output.said import say
from stellarrow.cli.query.interrupting import was_interrupted
from stellarrow.errors import StellarrowError
from stellarrow.sql.named import NamedQuery
from stellarrow.sql.saved_queries import is_list, listed, queries
from stellarrow.storage.paths import local_path

_KEPT: Final = 10_000  # lines of history
_COMMANDS: Final = {
    ".tables": "the tables there are",
    ".schema TABLE": "a table's columns and their types; of every table without a name",
    "@": "the ready-made queries; @NAME asks one",
    ".expanded": "show rows line by line, or value by value, by turns",
    ".out FILE": "write the last query's rows to a .parquet, .csv or .jsonl file",
    ".help": "this",
    ".quit": "end, as Ctrl-D does",
}


class Answering(Protocol):
    """What is asked: files, ledgers or a database."""

    def tables(self) -> list[str]:
        """Return every table's name."""

    def words(self) -> list[str]:
        """Return what a query may be made of."""

    def schema(self, table: str) -> list[tuple[str, str]]:
        """Return a table's columns and their types."""

    def rows(self, query: str) -> pa.RecordBatchReader:
        """Answer a query."""


def ask(database: Answering, *, expanded: bool = False, named: Sequence[NamedQuery] = ()) -> None:
    """Ask for queries until there are no more; a query ends with a semicolon, and `named` ones have names."""
    say(
        f"tables: {', '.join(database.tables())}\nA query ends with ; and @ lists those that are ready-made,"
        " .help tells the rest."
    )
    last = ""
    with _editing(database, named):
        for text in _queries():
            try:
                if text == ".expanded":
                    expanded = not expanded
                    say("row by row" if expanded else "one line a row")
                elif text.startswith("."):
                    _obey(text, database, last)
                elif is_list(text):
                    result_table.show(listed(named).to_reader(), expanded=expanded)
                else:
                    last = text
                    result_table.show(database.rows(text), expanded=expanded)
            except (StellarrowError, KeyboardInterrupt) as error:
                if was_interrupted() or isinstance(error, KeyboardInterrupt):
                    say("interrupted", err=True)
                else:
                    say("error: ", fg="red", bold=True, err=True, nl=False)
                    say(str(error), err=True)


def _queries() -> Iterator[str]:
    """Yield queries and commands; Ctrl-C gives up what was begun, Ctrl-D ends."""
    lines: list[str] = []
    while True:
        try:
            line = input("     ...> " if lines else "stellar=> ")
        except KeyboardInterrupt:
            was_interrupted()  # has been dealt with
            say()
            lines = []
            continue
        except EOFError:
            say()
            return
        if not lines and line.strip() in (".quit", ".exit", "quit", "exit"):
            return
        lines += [line] if lines or line.strip() else []
        text = "\n".join(lines).strip()
        if text.startswith((".", "@")) or text.endswith(";"):
            lines = []
            yield text.rstrip("; \t\n")


def _obey(text: str, database: Answering, last: str) -> None:
    name, _, argument = text.partition(" ")
    if name == ".tables":
        say("\n".join(database.tables()))
    elif name == ".schema":
        for table in [argument.strip()] if argument.strip() else database.tables():
            say(table, bold=True)
            columns = database.schema(table)
            width = max(len(column) for column, _ in columns)
            say("\n".join(f"  {column:<{width}}  {kind}" for column, kind in columns))
    elif name == ".out" and argument.strip() and last:
        written = result_table.write(database.rows(last), local_path(argument.strip()))
        say(f"{formatting.many(written, 'row')} in {argument.strip()}")
    elif name == ".out":
        say("ask something first, then write .out FILE")
    else:
        say("\n".join(f"{one:<13}  {answer}" for one, answer in _COMMANDS.items()))


def words(database: Answering, named: Sequence[NamedQuery] = ()) -> list[str]:
    """Return all that the tab key completes: names, keywords, functions, commands, ready-made queries."""
    ready_made = {f"@{name}" for name in (*(one.name for one in queries()), *(one.name for one in named))}
    return sorted({*database.words(), *ready_made, *(one.split()[0] for one in _COMMANDS)})


@contextmanager
def _editing(database: Answering, named: Sequence[NamedQuery]) -> Iterator[None]:
    """Complete names, and remember lines from one session to the next."""
    known = words(database, named)

    def complete(begun: str, number: int) -> str | None:
        found = [one for one in known if one.startswith(begun.lower())]
        return found[number] if number < len(found) else None

    path = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "stellarrow" / "history"
    with suppress(OSError):
        readline.read_history_file(path)
    readline.set_history_length(_KEPT)
    readline.set_completer(complete)
    readline.set_completer_delims(" \t\n,()=<>;")
    readline.parse_and_bind("tab: complete")
    try:
        yield
    finally:
        with suppress(OSError):  # a home one cannot write to is no reason to fail
            path.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(path)
