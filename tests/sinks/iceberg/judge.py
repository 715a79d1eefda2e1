"""A reader that is not ours, in a process of its own: what DuckDB sees of Iceberg tables.

Argument: the folder of packages. Reads a JSON list a line: the file of a table's metadata, and the folder of
the table where it lies elsewhere than its metadata says, or nothing. Answers with rows by ledger, or with an
error.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def connected() -> Any:
    import duckdb  # noqa: PLC0415
    import duckdb_extension_avro  # noqa: PLC0415
    import duckdb_extension_iceberg  # noqa: PLC0415

    connection = duckdb.connect(config={"allow_unsigned_extensions": True})
    for extension in (duckdb_extension_avro, duckdb_extension_iceberg):
        found = next(Path(str(extension.__file__)).parent.rglob("*.duckdb_extension"))
        connection.execute(f"load '{found}'")
    return connection


def scanned(metadata: str, table: str) -> str:
    """Return how DuckDB is asked for a table."""
    if not table:
        return f"iceberg_scan('{metadata}')"
    version = Path(metadata).name.removesuffix(".metadata.json")
    return (
        f"iceberg_scan('{table}', allow_moved_paths = true, version = '{version}',"
        " version_name_format = '%s%s.metadata.json')"
    )


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    connection = connected()
    for line in sys.stdin:
        query = f"select ledger_sequence, count(*) from {scanned(*json.loads(line))} group by all"
        try:
            answer = {str(ledger): rows for ledger, rows in connection.execute(query).fetchall()}
        except Exception as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
