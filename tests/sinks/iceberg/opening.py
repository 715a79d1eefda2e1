"""What opens an Iceberg sink, here and in processes that are to die."""

from __future__ import annotations

import os
from pathlib import Path

from sinks.delta.opening import options
from stellarrow.sinks.iceberg import IcebergSink

TABLES = ("ledgers", "contract_data")


def configure(folder: Path) -> None:
    """Name a catalog in SQLite, as PyIceberg's own configuration does, with its tables below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["PYICEBERG_CATALOG__TEST__TYPE"] = "sql"
    os.environ["PYICEBERG_CATALOG__TEST__URI"] = f"sqlite:///{folder}/catalog.db?timeout=60"
    os.environ["PYICEBERG_CATALOG__TEST__WAREHOUSE"] = f"file://{folder}/warehouse"


def opened(folder: Path, tables: tuple[str, ...] = TABLES) -> IcebergSink:
    configure(folder)
    return IcebergSink("iceberg:test/stellar?ledgers=10", tables, options=options())
