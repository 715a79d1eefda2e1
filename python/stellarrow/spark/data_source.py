"""The data source: which columns there are, and who reads them."""

from __future__ import annotations

import sys
from typing import Any

from stellarrow.core.tables import is_typed
from stellarrow.errors import ConfigError
from stellarrow.extras import needing
from stellarrow.scanning.reading import find_stored, scan
from stellarrow.scanning.result import Scan
from stellarrow.scanning.state_tables import is_state
from stellarrow.spark.columns import signed
from stellarrow.spark.options import ReadOptions
from stellarrow.spark.reader import PushingReader, TableReader

with needing("Spark", "spark"):
    from pyspark.sql.datasource import DataSource
    from pyspark.sql.pandas.types import from_arrow_schema

_PUSHES = "pyspark.sql.worker.data_source_pushdown_filters"  # loaded only where Spark pushes filters down


class StellarrowDataSource(DataSource):  # type: ignore[misc]  # pyspark need not be installed
    """Read tables out of ledgers, or tables that are stored, with `spark.read.format("stellarrow")`.

    `load()` takes what `sa.scan` takes as its source; options are those of `sa.scan` as text, lists with
    commas: table, ledgers, network, where, columns, contract_ids, asset_codes, asset_issuers, event_names,
    event_types, accounts, include_deleted, decoded, transfers; and `partitions`, how many to cut into.
    """

    def __init__(self, options: dict[str, str]) -> None:
        """Take options as Spark hands them over; what is wrong with them is told when they are used."""
        super().__init__(options)
        self._given = dict(options)

    @classmethod
    def name(cls) -> str:
        """Return what `format` is given."""
        return "stellarrow"

    def schema(self) -> Any:
        """Return the columns of what is asked for, in Spark's types."""
        return from_arrow_schema(signed(_scanned(ReadOptions.of(self._given)).schema))

    def reader(self, schema: Any) -> TableReader:
        """Return who reads columns of a schema: the one above, or some of it, as a user gave it.

        Spark refuses a reader that takes filters where `spark.sql.python.filterPushdown.enabled` is off, and
        tells nobody else whether it is on: only the process that hands filters over knows that it does.
        """
        options = ReadOptions.of(self._given)
        kind = PushingReader if _PUSHES in sys.modules else TableReader
        return kind(options, schema, stored=find_stored(options.path, options.table) is not None)


def _scanned(options: ReadOptions) -> Scan:
    if is_state(options.table):
        raise ConfigError(f"{options.table} is not read by Spark: read the table it is made of")
    if is_typed(options.table) and find_stored(options.path, options.table) is None:
        raise ConfigError(
            f"{options.table} is read by Spark where it is stored: extract it first, such as into delta:"
        )
    where, columns = options.filter(), options.named_columns()
    return scan(options.path, **options.scanned(), where=where, columns=columns)
