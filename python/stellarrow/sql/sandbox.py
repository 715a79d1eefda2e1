"""Read-only SQL of strangers over tables in Arrow: no files, no network, bounds of memory, time, rows, text.

Each query has a process of its own (`sandbox_worker.py`), which has no rights, gets the rows it asks for, and
is killed when its time is over or nobody reads its answer any more.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any, Final, TypeAlias

import pyarrow as pa

from stellarrow.errors import ConfigError, StellarrowError, Unavailable
from stellarrow.extras import require
from stellarrow.sql import check_text
from stellarrow.sql.bounds import TookTooLong, TooLarge
from stellarrow.sql.sandbox_channel import receive, send

Params: TypeAlias = Sequence[Any] | Mapping[str, Any]
Naming: TypeAlias = Callable[[Sequence[str]], None]

_ENVIRONMENT: Final = {  # and nothing of this process's, which may hold secrets
    "PATH": "/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "MALLOC_ARENA_MAX": "2",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLimits:
    """What a query may take; rows beyond are left out, all else beyond is an error."""

    seconds: float = 10.0
    memory_mb: int = 512
    rows: int = 100_000
    size_bytes: int = 256 << 20
    text_characters: int = 100_000


@dataclass(frozen=True, slots=True)
class SandboxTable:
    """A table: its columns, and what makes a pass over its rows, as often as a query needs one."""

    schema: pa.Schema
    batches: Callable[[], Iterator[pa.RecordBatch]]


class Sandbox:
    """Answers queries over tables; `ready` processes wait for queries, so that none waits for its start."""

    def __init__(
        self, tables: Mapping[str, SandboxTable], limits: SandboxLimits | None = None, *, ready: int = 1
    ) -> None:
        require("SQL", "sql")
        self._tables = dict(tables)
        self._limits = limits or SandboxLimits()
        self._ready = ready
        self._lock = threading.Lock()
        self._waiting: list[_Worker] = [_Worker() for _ in range(ready)]
        self._closed = False

    def answer(
        self,
        text: str,
        params: Params = (),
        limits: SandboxLimits | None = None,
        *,
        tables: Mapping[str, SandboxTable] | None = None,
        describe: bool = False,
        naming: Naming | None = None,
    ) -> SandboxAnswer:
        """Begin a query; ConfigError where it is refused, at once or while its columns and rows are read.

        `limits` and `tables` are those of this query. The answer must be closed. One that is to be described
        has columns, parameters whatever their values, and no rows. `naming` is called with the tables that
        the query names, before a row of them is read.
        """
        limits = limits or self._limits
        if len(text) > limits.text_characters:
            raise ConfigError(
                f"the query has {len(text):,} characters, at most {limits.text_characters:,} are read:"
                " write it shorter"
            )
        check_text(text)
        try:
            json.dumps(params)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"a parameter cannot be sent ({error}): give texts, numbers and booleans"
            ) from error
        known = self._tables if tables is None else tables
        return SandboxAnswer(self._worker(), known, text, params, limits, describe=describe, naming=naming)

    def close(self) -> None:
        """End the processes that wait."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = self._waiting, []
        for worker in waiting:
            worker.close()

    def _worker(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise Unavailable("the server is shutting down: ask again when it is back")
            worker = self._waiting.pop(0) if self._waiting else _Worker()
            while len(self._waiting) < self._ready:
                self._waiting.append(_Worker())
        return worker


class _Worker:
    """A process that waits for one query."""

    def __init__(self) -> None:
        self.control, theirs = socket.socketpair()
        read, written = os.pipe()
        self.answer = os.fdopen(read, "rb", buffering=1 << 20)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  this interpreter, and nothing of a stranger's
                [sys.executable, "-m", "stellarrow.sql.sandbox_worker", str(theirs.fileno()), str(written)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), written),
                env={**_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                cwd="/",
                start_new_session=True,
            )
        os.close(written)

    def kill(self) -> None:
        """End it, whatever it does."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        self.control.close()
        self.answer.close()


class SandboxAnswer:
    """The rows of one query, as they are computed; ConfigError where it is refused or needs too much."""

    def __init__(
        self,
        worker: _Worker,
        tables: Mapping[str, SandboxTable],
        text: str,
        params: Params,
        limits: SandboxLimits,
        *,
        describe: bool = False,
        naming: Naming | None = None,
    ) -> None:
        self._worker = worker
        self._tables = tables
        self._naming = naming
        self._limits = limits
        self._ended: dict[str, Any] | None = None
        self._failure: StellarrowError | None = None
        self._is_late = False
        self._timer = threading.Timer(limits.seconds, self._expire)
        self._timer.daemon = True
        self._serving = threading.Thread(target=self._serve, name="stellarrow-sandbox", daemon=True)
        try:
            self._timer.start()
            send(worker.control, {**self._request(text, params), "describe": describe})
            self._serving.start()
        except BaseException:
            self.close()
            raise

    @property
    def schema(self) -> pa.Schema:
        """The columns; waits until the query has its first rows."""
        return self._stream.schema

    @property
    def truncated(self) -> bool:
        """Whether there were more rows than may be; known once all were read."""
        return bool(self._ended and self._ended.get("truncated"))

    @property
    def parameters(self) -> tuple[str, ...]:
        """What values a query that was described may be given for; known once all rows were read."""
        return tuple(self._ended.get("parameters", ())) if self._ended else ()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows once; ConfigError where the query goes beyond its bounds, or cannot be computed."""
        try:
            yield from self._stream
        except (pa.ArrowException, OSError) as error:
            raise self._error() from error
        self._serving.join()
        if not (self._ended and self._ended.get("done")):
            raise self._error()  # a stream that is cut between two batches looks whole

    def __enter__(self) -> SandboxAnswer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def abandon(self) -> None:
        """End the query from another thread, as nobody waits for its answer."""
        self._worker.kill()

    def close(self) -> None:
        """End the query, wherever it is."""
        self._timer.cancel()
        self._worker.kill()
        if self._serving.ident is not None:
            self._serving.join()
        self._worker.close()

    def _request(self, text: str, params: Params) -> dict[str, Any]:
        limits = self._limits
        schemas = {
            name: base64.b64encode(one.schema.serialize().to_pybytes()).decode()
            for name, one in self._tables.items()
        }
        return {
            "sql": text,
            "params": params,
            "tables": schemas,
            "seconds": limits.seconds,
            "memory_mb": limits.memory_mb,
            "rows": limits.rows,
            "bytes": limits.size_bytes,
        }

    @cached_property
    def _stream(self) -> Any:
        try:
            return pa.ipc.open_stream(self._worker.answer)
        except (pa.ArrowException, OSError) as error:
            raise self._error() from error

    def _expire(self) -> None:
        self._is_late = True
        self._worker.kill()

    def _serve(self) -> None:
        """Hand over rows of tables as they are asked for, until the process has said how the query ended."""
        with suppress(OSError, ValueError):
            while (message := receive(self._worker.control)) is not None:
                if "named" in message:
                    if self._naming:
                        self._naming(message["named"])
                    continue
                if "scan" not in message:
                    self._ended = message
                    return
                read, written = os.pipe()
                try:
                    socket.send_fds(self._worker.control, [b"r"], [read])
                except OSError:
                    os.close(written)
                    raise
                finally:
                    os.close(read)
                arguments = (self._tables[message["scan"]], written)
                threading.Thread(
                    target=self._hand_over, args=arguments, name="stellarrow-sandbox-rows", daemon=True
                ).start()

    def _hand_over(self, table: SandboxTable, written: int) -> None:
        sink = os.fdopen(written, "wb", buffering=1 << 20)
        try:
            writer = pa.ipc.new_stream(sink, table.schema)
            for batch in table.batches():
                writer.write_batch(batch)
            writer.close()
        except OSError:
            pass  # it takes no more of them
        except StellarrowError as error:
            self._fail(error)
        except Exception as error:
            self._fail(StellarrowError(f"unexpected: {error!r}"))
        finally:
            with suppress(OSError):
                sink.close()

    def _fail(self, error: StellarrowError) -> None:
        """End the query before it takes what it got for all there is."""
        self._failure = error
        self._worker.kill()

    def _error(self) -> StellarrowError:
        """Return why there are no more rows."""
        self._serving.join()
        limits = self._limits
        if self._failure:
            return self._failure
        if self._is_late:
            return TookTooLong(
                f"the query took longer than {limits.seconds:g} s: ask for fewer ledgers, or for less of them"
            )
        if self._ended and self._ended.get("error") == "refused":
            return ConfigError(self._ended["message"])
        if self._ended and self._ended.get("error") == "large":
            return TooLarge(self._ended["message"])
        return TooLarge(
            f"the query needs more than {limits.memory_mb} MB of memory: ask for fewer rows, columns or"
            " groups"
        )
