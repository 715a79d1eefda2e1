"""PostgreSQL: contract data and every other table, each ledger once."""

from stellarrow.errors import ConfigError

try:
    from stellarrow.sinks.postgres.sink import PostgresSink
except ImportError as error:
    raise ConfigError("PostgreSQL needs psycopg and pgpq: pip install 'stellarrow[postgres]'") from error

__all__ = ["PostgresSink"]
