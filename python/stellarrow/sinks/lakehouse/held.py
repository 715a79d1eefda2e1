"""A table that is there in an open format: what its coverage tells of it."""

from __future__ import annotations

import pyarrow as pa

from stellarrow.ledgers import LedgerSet
from stellarrow.sinks.lakehouse.coverage import Coverage
from stellarrow.sinks.transactional.stored_columns import StoredColumns


class Held:
    """What readers ask of a table before its rows."""

    __slots__ = ()
    coverage: Coverage

    @property
    def name(self) -> str:
        return self.coverage.making.table

    @property
    def version(self) -> str:
        return self.coverage.making.schema_version

    @property
    def network(self) -> str:
        """The passphrase of the ledgers' network."""
        return self.coverage.making.network

    @property
    def ledgers(self) -> LedgerSet:
        return self.coverage.ledgers

    @property
    def schema(self) -> pa.Schema:
        """The columns of its rows."""
        return self.stored.known

    @property
    def stored(self) -> StoredColumns:
        """The same, and what they are in the table."""
        return self.coverage.stored
