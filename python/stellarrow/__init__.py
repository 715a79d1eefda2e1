"""Stellar ledgers to Apache Arrow, fast and exactly."""

from stellarrow.core.decode import Decoder, decode
from stellarrow.core.escape import unescape
from stellarrow.core.synthetic import synth
from stellarrow.core.tables import Table, __version__, keys, schema, tables
from stellarrow.errors import (
    ChainBroken,
    ConfigError,
    Damaged,
    DecodeError,
    LedgerMissing,
    LedgersRefused,
    LedgerUnsound,
    NetworkMismatch,
    SchemaMismatch,
    SinkError,
    SinkUnavailable,
    SourceError,
    SourceUnavailable,
    StellarrowError,
    Stopped,
    Unavailable,
    UnknownSession,
)
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerBatch, LedgerChunk, LedgerRange, LedgerRun, LedgerSet, Network
from stellarrow.pipeline.dead_letters import DeadLetter, DeadLetters
from stellarrow.pipeline.loop import Progress, Report
from stellarrow.protocols import Measured, Refetching, Sink, Source
from stellarrow.running import run
from stellarrow.scanning import Scan, scan

__all__ = [
    "ChainBroken",
    "ConfigError",
    "Damaged",
    "DeadLetter",
    "DeadLetters",
    "DecodeError",
    "Decoder",
    "Filter",
    "LedgerBatch",
    "LedgerChunk",
    "LedgerMissing",
    "LedgerRange",
    "LedgerRun",
    "LedgerSet",
    "LedgerUnsound",
    "LedgersRefused",
    "Measured",
    "Network",
    "NetworkMismatch",
    "Progress",
    "Refetching",
    "Report",
    "Scan",
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
    "UnknownSession",
    "__version__",
    "decode",
    "keys",
    "run",
    "scan",
    "schema",
    "synth",
    "tables",
    "unescape",
]
