"""Iceberg: every table an Iceberg table of a catalog, rows and coverage in one commit."""

from stellarrow.sinks.iceberg.sink import IcebergSink

__all__ = ["IcebergSink"]
