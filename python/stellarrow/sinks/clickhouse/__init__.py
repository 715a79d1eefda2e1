"""ClickHouse: rows that no reader sees before the commit that makes them count."""

from stellarrow.extras import needing

with needing("ClickHouse", "clickhouse"):
    from stellarrow.sinks.clickhouse.sink import ClickHouseSink

__all__ = ["ClickHouseSink"]
