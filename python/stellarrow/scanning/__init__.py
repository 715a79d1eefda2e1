"""One table of any ledgers as a lazy stream of Arrow batches, for whoever takes Arrow."""

from stellarrow.scanning.aggregating import aggregate, queries
from stellarrow.scanning.figures import analytics
from stellarrow.scanning.reading import scan
from stellarrow.scanning.result import Scan
from stellarrow.scanning.typed import TypedScans, typed

__all__ = ["Scan", "TypedScans", "aggregate", "analytics", "queries", "scan", "typed"]
