"""A DuckDB database in one file: rows and coverage in one transaction."""

from stellarrow.extras import needing

with needing("DuckDB", "sql"):
    from stellarrow.sinks.duckdb_file.sink import DuckDbSink

__all__ = ["DuckDbSink"]
