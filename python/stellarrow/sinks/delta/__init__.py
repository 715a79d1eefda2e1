"""Delta: every table a Delta table, rows and coverage in one commit of its log."""

from stellarrow.sinks.delta.sink import DeltaSink

__all__ = ["DeltaSink"]
