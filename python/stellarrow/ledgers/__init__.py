"""The frozen values that flow: which ledgers, their stored bytes, their rows, their network."""

from stellarrow.ledgers.batches import LedgerBatch, LedgerChunk, LedgerRun, RowCounts
from stellarrow.ledgers.networks import KNOWN_NETWORKS, Network
from stellarrow.ledgers.ranges import LAST_POSSIBLE, LedgerRange, LedgerSet

__all__ = [
    "KNOWN_NETWORKS",
    "LAST_POSSIBLE",
    "LedgerBatch",
    "LedgerChunk",
    "LedgerRange",
    "LedgerRun",
    "LedgerSet",
    "Network",
    "RowCounts",
]
