"""What opens an Iceberg sink, here and in processes that are to die."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sinks.delta.opening import options
from stellarrow.sinks.iceberg import IcebergSink

TABLES = ("ledgers", "contract_data")
PREFIX = "PYICEBERG_CATALOG__TEST__"


def catalog_in(folder: Path, uri: str = "") -> dict[str, str]:
    """Return the settings of a catalog in SQLite or another database, with its tables below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "TYPE": "sql",
        "URI": uri or f"sqlite:///{folder}/catalog.db?timeout=60",
        "WAREHOUSE": f"file://{folder}/warehouse",
    }


def name_catalog(settings: Mapping[str, str]) -> None:
    """Name a catalog as PyIceberg's own configuration does."""
    os.environ.update({f"{PREFIX}{name}": value for name, value in settings.items()})
    # The S3 server of the tests refuses a checksum at the end of an upload in parts.
    os.environ["AWS_REQUEST_CHECKSUM_CALCULATION"] = "when_required"


def configure(folder: Path) -> None:
    """Name a catalog in SQLite."""
    name_catalog(catalog_in(folder))


def opened(folder: Path, tables: tuple[str, ...] = TABLES) -> IcebergSink:
    configure(folder)
    return IcebergSink("iceberg:test/stellar?ledgers=10", tables, options=options())
