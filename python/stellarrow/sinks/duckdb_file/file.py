"""One DuckDB file: connections to it, who else holds it, and what DuckDB's errors mean in ours."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb

from stellarrow.errors import ConfigError, SchemaMismatch, SinkError, SinkUnavailable
from stellarrow.storage.atomic import make_folders
from stellarrow.storage.os_errors import translate_os_errors
from stellarrow.storage.paths import local_path

_FORM: Final = "write duckdb:FILE, such as duckdb:./stellar.db"
_BUSY_SECONDS: Final = 0.05  # between looks at a file that another process holds
_SYSTEM: Final = re.compile(r"Could not \w+ file|No space left")  # in what a commit says, too
_HOLDER: Final = re.compile(r"PID (\d+)")


class Conflict(Exception):
    """Another connection of this process committed first."""


class DuckDbFile:
    """A file, which one process at a time can write; `patience` is how long to wait for it, in seconds."""

    def __init__(self, path: Path, *, patience: float = 30.0) -> None:
        self.path = path
        self._patience = patience
        self._connection: Any = None

    def __str__(self) -> str:
        return f"DuckDB file {self.path}"

    @classmethod
    def parse(cls, url: str) -> DuckDbFile:
        """Read `duckdb:FILE`."""
        scheme, _, name = url.partition(":")
        if scheme != "duckdb" or not name or name.startswith(":") or name.endswith("/"):
            raise ConfigError(f"{url!r} names no file: {_FORM}")
        return cls(local_path(name.removeprefix("//")))

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """Yield a connection that changes nothing; None where there is no file."""
        if self._connection is not None:
            with self._translated("read"):
                yield self._connection
        elif not self.path.exists():
            yield None
        else:
            with self._translated("read"):
                connection = self._connect(writing=False)
                try:
                    yield connection
                finally:
                    connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Yield a connection whose changes are all durable, or none; a Conflict is worth another try."""
        if self._connection is None:
            with translate_os_errors(self.path.parent, "write to"):
                make_folders(folder := self.path.absolute().parent)
                folder.mkdir(exist_ok=True)  # fails where it is a file
        with self._translated("write to"):
            if self._connection is None:
                self._connection = self._connect(writing=True)
            self.do("BEGIN TRANSACTION")
            try:
                yield self._connection
                self.commit()
            except BaseException as error:
                self._roll_back()
                is_late = isinstance(error, duckdb.TransactionException | duckdb.ConstraintException)
                if is_late and not _SYSTEM.search(str(error)):
                    raise Conflict(str(error)) from error
                raise

    def do(self, statement: str, values: list[Any] | None = None) -> Any:
        """Run a statement on the connection that writes."""
        return self._connection.execute(statement, values)

    def register(self, name: str, rows: Any) -> None:
        """Let statements read rows of Arrow under a name."""
        self._connection.register(name, rows)

    def unregister(self, name: str) -> None:
        """Let go of rows of Arrow."""
        self._connection.unregister(name)

    def commit(self) -> None:
        """Make all changes of the transaction durable."""
        self.do("COMMIT")

    def close(self) -> None:
        """Let others have the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _roll_back(self) -> None:
        try:
            self._connection.execute("ROLLBACK")
        except duckdb.Error:  # there is no transaction any more
            self.close()

    def _connect(self, *, writing: bool) -> Any:
        """Connect; wait where another process has the file, or this one has it in another way."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                connection = duckdb.connect(self.path, read_only=not writing)
                connection.execute("SET timezone = 'UTC'")
                return connection
            except duckdb.ConnectionException:
                if time.monotonic() > deadline:
                    raise
                writing = True  # as this process does already, or will once what reads has ended
            except duckdb.IOException as error:
                if "lock" not in str(error) or time.monotonic() > deadline:
                    raise
            threading.Event().wait(_BUSY_SECONDS)

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise self._error(doing, error) from error

    def _error(self, doing: str, error: duckdb.Error) -> SinkError:
        said = str(error).partition("\n")[0].rstrip(".!")
        if holder := _HOLDER.search(str(error)):
            return SinkUnavailable(
                f"{self.path} is held by another process (PID {holder[1]}), and one process at a time can"
                " have a DuckDB file that is written: end that one first, or write to another file"
            )
        if isinstance(error, duckdb.ConnectionException):
            return SinkUnavailable(f"{self.path} is read and written in this process: close the other first")
        if "not a valid DuckDB" in said:
            return SinkError(f"{self.path} is no DuckDB database: name another file")
        if isinstance(error, duckdb.CatalogException | duckdb.BinderException):
            return SchemaMismatch(
                f"cannot {doing} {self.path} ({said}): its tables are not as stellarrow makes them: name"
                " another file"
            )
        return SinkError(f"cannot {doing} {self.path} ({said}): make room and see that you may write there")
