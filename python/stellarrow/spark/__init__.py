"""Tables as `spark.read.format("stellarrow")`: a Python Data Source of Spark 4."""

from __future__ import annotations

from typing import Any

__all__ = ["register"]


def register(session: Any) -> None:
    """Make `session.read.format("stellarrow")` known to a Spark session, which may be one of Spark Connect.

    Options are those of `sa.scan` as texts, lists with commas: table, ledgers, network, where, columns,
    contract_ids, asset_codes, asset_issuers, event_names, event_types, accounts, include_deleted, decoded,
    transfers; and `partitions`, how many to cut into.
    """
    from stellarrow.spark.data_source import StellarrowDataSource  # noqa: PLC0415  an extra

    session.dataSource.register(StellarrowDataSource)
