"""What a reader is given of the figures that sessions keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from stellarrow.analysis.request import FiguresRequest
from stellarrow.analysis.summary import summary_of
from stellarrow.analysis.windows import NAMES, Analytics
from stellarrow.errors import ConfigError
from stellarrow.ledgers import LedgerRange
from stellarrow.processor.processor import Processor
from stellarrow.processor.session_worker import SessionWorker


@dataclass(frozen=True, slots=True)
class FiguresAnswer:
    """Figures of a session, and the ledgers that they are of; without a session there are none yet."""

    rows: pa.Table
    ledgers: LedgerRange | None
    session: str
    network: str

    def to_dict(self) -> dict[str, Any]:
        """Say what they are of."""
        told: dict[str, Any] = {
            "first_ledger": self.ledgers.first if self.ledgers else 0,
            "last_ledger": self.ledgers.end if self.ledgers else 0,
            "complete": True,
        }
        named = {"session": self.session, "network": self.network}
        return told | {name: value for name, value in named.items() if value}


def answered(processor: Processor, request: FiguresRequest) -> FiguresAnswer:
    """Answer out of the session that is asked for, or of the foremost.

    Raises:
        ConfigError: No figures are kept, or not of the table that these are counted from.
        UnknownSession: There is no such session.
    """
    if not processor.options.figures_mb:
        raise ConfigError("this processor keeps no figures: set ANALYTICS_MB (--analytics-mb) above 0")
    work = processor.work(request.session) if request.session else foremost_session(processor)
    if work is None:
        return FiguresAnswer(request.answer(Analytics()).rows, None, "", "")
    needed = NAMES[request.name].table
    if needed not in work.figures.tables:
        raise ConfigError(
            f"analytics/{request.name} is counted from {needed}, which the session does not keep: add it to"
            " TABLES (--tables), and start a new session"
        )
    analytics = work.figures.answering() or Analytics()
    found = request.answer(analytics)
    return FiguresAnswer(found.rows, found.ledgers, work.session.id, work.session.network)


def foremost_session(processor: Processor) -> SessionWorker | None:
    """Return whose figures are meant where none is named: of those at work, or else all, the farthest."""
    works = [work for work in processor.works() if work.figures.tables]
    return max(works, key=lambda one: (not one.session.status.is_final, one.session.current), default=None)


def summed_up(processor: Processor) -> dict[str, Any]:
    """Return the foremost session's figures as a page or a program shows them; empty where none are kept."""
    work = foremost_session(processor) if processor.options.figures_mb else None
    analytics = work.figures.answering() if work else None
    if work is None or analytics is None:
        return {}
    summary = summary_of(analytics, list(work.figures.tables))
    return {"session": work.session.id, "lag": work.lag, **summary}
