"""Stellar ledgers to Apache Arrow, fast and exactly."""

from stellarrow.decode import Decoder, Table, __version__, decode, keys, schema, synth, tables
from stellarrow.errors import (
    ChainBroken,
    ConfigError,
    DecodeError,
    LedgerMissing,
    NetworkMismatch,
    SchemaMismatch,
    SinkError,
    SinkUnavailable,
    SourceError,
    SourceUnavailable,
    StellarrowError,
    Stopped,
    Unavailable,
)
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerBatch, LedgerChunk, LedgerRange, LedgerRun, LedgerSet, Network
from stellarrow.pipeline import Progress, Report, run
from stellarrow.protocols import Sink, Source

__all__ = [
    "ChainBroken",
    "ConfigError",
    "DecodeError",
    "Decoder",
    "Filter",
    "LedgerBatch",
    "LedgerChunk",
    "LedgerMissing",
    "LedgerRange",
    "LedgerRun",
    "LedgerSet",
    "Network",
    "NetworkMismatch",
    "Progress",
    "Report",
    "SchemaMismatch",
    "Sink",
    "SinkError",
    "SinkUnavailable",
    "Source",
    "SourceError",
    "SourceUnavailable",
    "StellarrowError",
    "Stopped",
    "Table",
    "Unavailable",
    "__version__",
    "decode",
    "keys",
    "run",
    "schema",
    "synth",
    "tables",
]
