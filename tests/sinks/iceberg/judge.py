"""A reader that is not ours, in a process of its own: what DuckDB sees of an Iceberg table.

Arguments: the folder of packages, and the file of the table's metadata. Prints rows by ledger, as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    site, metadata = sys.argv[1:]
    sys.path.insert(0, site)
    import duckdb  # noqa: PLC0415
    import duckdb_extension_avro  # noqa: PLC0415
    import duckdb_extension_iceberg  # noqa: PLC0415

    connection = duckdb.connect(config={"allow_unsigned_extensions": True})
    for extension in (duckdb_extension_avro, duckdb_extension_iceberg):
        found = next(Path(str(extension.__file__)).parent.rglob("*.duckdb_extension"))
        connection.execute(f"load '{found}'")
    query = f"select ledger_sequence, count(*) from iceberg_scan('{metadata}') group by all"
    print(json.dumps({str(ledger): rows for ledger, rows in connection.execute(query).fetchall()}))


if __name__ == "__main__":
    main()
