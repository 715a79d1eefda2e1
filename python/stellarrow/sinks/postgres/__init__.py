"""PostgreSQL: contract data and every other table, each ledger once."""

from stellarrow.sinks.postgres.sink import PostgresSink

__all__ = ["PostgresSink"]
