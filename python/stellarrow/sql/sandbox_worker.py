"""The process that runs one query of a stranger's: without rights, and bounded by the system itself.

DuckDB's own bounds do not hold everywhere: `repeat('x', 2000000000)` takes 4 GB and 23 seconds whatever it
is told. So address space, files and CPU are limited for the process, which its parent kills at the deadline.
Rows of tables come from the parent, which is asked for each pass over them; the answer goes back as they do.
"""

from __future__ import annotations

import base64
import ctypes
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from stellarrow.errors import ConfigError
from stellarrow.extras import needing
from stellarrow.sql.bounds import TooLarge
from stellarrow.sql.duckdb_errors import sentence
from stellarrow.sql.sandbox_channel import receive, send
from stellarrow.sql.sandbox_rules import CATALOG, SCHEMA, check
from stellarrow.sql.whole_amounts import with_whole_amounts

with needing("SQL", "sql"):
    import duckdb

_OUT_OF_MEMORY: Final = (
    "bad_alloc",
    "bad allocation",
    "out of memory",
    "allocation fail",
    "failed to allocate",
)
_PR_SET_PDEATHSIG: Final = 1  # of Linux: a signal where the parent ends
_ROWS_OF: Final = "rows of "  # before the name of a table whose view has the name itself
_ROWS: Final = 8_192  # of a batch of the answer
_HELD: Final = Path("/proc/self/statm")
_STACK_MB: Final = 512  # beside the memory a query may take: threads, what is shared, what Arrow holds


class _Remote:
    """A table of the parent's, which DuckDB passes over as often as it needs."""

    def __init__(self, name: str, schema: pa.Schema, control: socket.socket, turn: threading.Lock) -> None:
        self._name, self._schema = name, schema
        self._control, self._turn = control, turn

    def __arrow_c_schema__(self) -> object:
        return self._schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        reader = pa.RecordBatchReader.from_batches(self._schema, self._batches())
        return reader.__arrow_c_stream__(requested_schema)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        with self._turn:
            send(self._control, {"scan": self._name})
            _, (file,), _, _ = socket.recv_fds(self._control, 1, 1)
        with os.fdopen(file, "rb", buffering=1 << 20) as rows, pa.ipc.open_stream(rows) as reader:
            yield from reader


def _bounded(memory_mb: int, seconds: float) -> None:
    """Limit this process: what it holds already, and what a query may take beside it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # it ends with who asked
    limits = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CPU, 4 * int(seconds) + 4),
    ]
    if _HELD.exists():  # elsewhere than on Linux a system does not bound address space
        held = int(_HELD.read_text().split()[0]) * resource.getpagesize()
        limits.append((resource.RLIMIT_AS, held + (memory_mb + _STACK_MB) * (1 << 20)))
    for kind, limit in limits:
        resource.setrlimit(kind, (limit, limit))


def _connection(memory_mb: int) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{memory_mb}MB",
            "threads": 2,
            "temp_directory": "",
            "max_temp_directory_size": "0MB",
            "max_expression_depth": 250,
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "allow_persistent_secrets": False,
        },
    )


def _run(control: socket.socket, answer: int, asked: dict[str, Any]) -> dict[str, Any]:
    """Run a query, write its answer, and say how it ended."""
    connection = _connection(asked["memory_mb"])
    connection.execute("set timezone = 'UTC'")
    send(control, {"named": check(connection, asked["sql"], asked["tables"])})
    turn = threading.Lock()
    for name, written in asked["tables"].items():
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(written)))
        _register(connection, name, _Remote(name, schema, control, turn), schema)
    if CATALOG in asked["sql"]:
        _qualify(connection, asked["tables"])
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    names = _parameters(connection, asked["sql"]) if asked["describe"] else []
    params = asked["params"] or dict.fromkeys(names)
    relation = connection.sql(asked["sql"], params=params or None)
    reader = _plain(relation).to_arrow_reader(_ROWS)
    if asked["describe"]:
        return {**_written(reader.from_batches(reader.schema, []), answer, asked), "parameters": names}
    return _written(reader, answer, asked)


def _register(connection: Any, name: str, rows: _Remote, schema: pa.Schema) -> None:
    """Let a table be read by its name, its amounts with all their digits."""
    decimals = [field.name for field in schema if pa.types.is_decimal128(field.type)]
    select = with_whole_amounts(f"from {_quoted(_ROWS_OF + name)}", decimals, schema.names)
    if " replace " not in select:
        connection.register(name, rows)
        return
    connection.register(_ROWS_OF + name, rows)
    connection.execute(f"create temp view {_quoted(name)} as {select}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _qualify(connection: Any, tables: Iterable[str]) -> None:
    """Let tables be read by their whole names, as tools write them."""
    connection.execute(f"attach ':memory:' as {CATALOG}")
    for name in tables:
        quoted = _quoted(name)
        connection.execute(f"create view {CATALOG}.{SCHEMA}.{quoted} as from temp.main.{quoted}")


def _parameters(connection: Any, text: str) -> list[str]:
    """Return what a query has values to be given for: numbers from 1, or names."""
    names = connection.extract_statements(text)[0].named_parameters
    return sorted(names, key=lambda name: (int(name) if name.isdecimal() else 0, name))


def _plain(relation: Any) -> Any:
    """Return the same rows, with numbers that Arrow has no type for as text."""
    odd = [str(kind) in ("BIGNUM", "UHUGEINT") for kind in relation.types]
    if not any(odd):
        return relation
    names = [*map(_quoted, relation.columns)]
    columns = enumerate(zip(odd, names, strict=True), 1)
    places = [f"#{at}{'::varchar' * is_odd} as {name}" for at, (is_odd, name) in columns]
    return relation.project(", ".join(places))


def _written(reader: pa.RecordBatchReader, answer: int, asked: dict[str, Any]) -> dict[str, Any]:
    """Write the answer up to its bounds."""
    rows, size = asked["rows"], asked["bytes"]
    with os.fdopen(answer, "wb", buffering=1 << 20) as sink, pa.ipc.new_stream(sink, reader.schema) as writer:
        for batch in reader:
            kept = batch.slice(0, rows)
            size -= kept.nbytes
            if size < 0:
                most = f"{asked['bytes'] >> 20} MB"
                raise TooLarge(f"the answer has more than {most}: ask for fewer columns, or shorter texts")
            writer.write_batch(kept)
            rows -= kept.num_rows
            if batch.num_rows > kept.num_rows or (rows == 0 and _goes_on(reader)):
                return {"done": True, "truncated": True}
    return {"done": True, "truncated": False}


def _goes_on(reader: pa.RecordBatchReader) -> bool:
    return any(batch.num_rows for batch in reader)


def _ended(control: socket.socket, answer: int, asked: dict[str, Any]) -> dict[str, Any]:
    try:
        return _run(control, answer, asked)
    except TooLarge as error:
        return {"error": "large", "message": str(error)}
    except ConfigError as error:
        return {"error": "refused", "message": str(error)}
    except (duckdb.OutOfMemoryException, MemoryError) as error:
        return {"error": "memory", "message": sentence(error)}
    except duckdb.Error as error:
        return {"error": "refused", "message": sentence(error)}
    except Exception as error:  # Arrow's, of what DuckDB met on the way
        is_memory = any(one in str(error).lower() for one in _OUT_OF_MEMORY)
        return {"error": "memory" if is_memory else "refused", "message": sentence(error)}


def main() -> None:
    """Wait for a query on the socket that was inherited, answer it, end."""
    control, answer = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    asked = receive(control)
    if asked is None:
        return
    _bounded(asked["memory_mb"], asked["seconds"])
    send(control, _ended(control, answer, asked))
    os._exit(0)  # nothing here needs to be taken down, and threads may hold what does


if __name__ == "__main__":
    main()
