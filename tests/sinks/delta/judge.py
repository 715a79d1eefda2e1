"""Readers that are not ours, in a process of its own: what deltalake and DuckDB see of a Delta table.

Arguments: the folder of packages, the reader, the table, and what to ask. Prints JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any


def by_deltalake(table: str, asked: str) -> Any:
    from deltalake import DeltaTable  # noqa: PLC0415

    held = DeltaTable(table)
    if asked == "z-order":
        held.optimize.z_order(["transaction_hash" if "contract_data" in table else "ledger_hash"])
    elif asked == "compact":
        held.optimize.compact()
    elif asked == "checkpoint":
        held.create_checkpoint()
        held.cleanup_metadata()
    elif asked == "vacuum":
        return held.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False, full=True)
    elif asked == "files":
        return sorted(held.file_uris())
    else:
        return counted(held.to_pyarrow_table(columns=["ledger_sequence"])["ledger_sequence"].to_pylist())
    return held.version()


def by_duckdb(table: str, asked: str) -> Any:
    import duckdb  # noqa: PLC0415
    import duckdb_extension_delta  # noqa: PLC0415

    found = next(Path(duckdb_extension_delta.__file__).parent.rglob("*.duckdb_extension"))
    connection = duckdb.connect(config={"allow_unsigned_extensions": True})
    connection.execute(f"load '{found}'")
    if asked.startswith("select"):
        return connection.execute(asked.replace("{table}", f"delta_scan('{table}')")).fetchall()
    query = f"select ledger_sequence, count(*) from delta_scan('{table}') group by all"
    return {str(ledger): rows for ledger, rows in connection.execute(query).fetchall()}


def counted(ledgers: list[int]) -> dict[str, int]:
    return {str(ledger): rows for ledger, rows in Counter(ledgers).items()}


def main() -> None:
    site, reader, table, asked = sys.argv[1:]
    sys.path.insert(0, site)
    answer = {"deltalake": by_deltalake, "duckdb": by_duckdb}[reader](table, asked)
    print(json.dumps(answer), flush=True)
    os._exit(0)  # deltalake's threads now and then abort a process that ends otherwise, after its answer


if __name__ == "__main__":
    main()
