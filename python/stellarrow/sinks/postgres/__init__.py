"""PostgreSQL: contract data and every other table, each ledger once."""

from stellarrow.extras import needing

with needing("PostgreSQL", "postgres"):
    from stellarrow.sinks.postgres.sink import PostgresSink

__all__ = ["PostgresSink"]
