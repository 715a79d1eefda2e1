"""Figures over time windows: series, and the foremost assets or contracts."""

from __future__ import annotations

from typing import Final

from stellarrow.analysis.reads.figures import KeptFigures, plain_numbers
from stellarrow.analysis.reads.refusals import NotFound, blaming
from stellarrow.analysis.request import MOST_TOP, FiguresRequest
from stellarrow.analysis.windows import NAMES, WINDOWS
from stellarrow.errors import nearest
from stellarrow.net.redaction import shortened
from stellarrow.servers.analytics_http.answers import Document, Rows
from stellarrow.servers.analytics_http.endpoint import Asked, Endpoint
from stellarrow.servers.analytics_http.parameters import Parameter

_NAME: Final = Parameter("name", "Which figures.", place="path", example="transfers")
_WINDOW: Final = Parameter("window", "How long each window is; 1h, of the foremost 24h.", words=WINDOWS)
_FROM: Final = Parameter("from", "Windows that begin then or later: a date or a time.")
_TO: Final = Parameter("to", "Windows that begin then or before: a date or a time.")
_ASSET: Final = Parameter("asset", "Of one asset: native, CODE:ISSUER or a contract's id.")
_CONTRACT: Final = Parameter("contract", "Of one contract.")
_TOP: Final = Parameter("top", "So many of the foremost, in the window that is open.", least=1, most=MOST_TOP)
_BY: Final = Parameter("by", "What the foremost are ordered by, such as volume.")
_TEXT: Final = ("json", "ndjson")


class FigureEndpoints:
    """Answers with figures."""

    def __init__(self, figures: KeptFigures) -> None:
        self._figures = figures

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                path="/v1/analytics",
                summary="Which figures there are, and the ledgers they include",
                answer=self._list,
                tag="analytics",
                is_cached=False,
            ),
            Endpoint(
                path="/v1/analytics/{name}",
                summary="Figures over time windows, or the foremost assets or contracts",
                description="The last window is still open; as_of_ledger is the last ledger that it has.",
                answer=self._answer,
                tag="analytics",
                parameters=(_NAME, _WINDOW, _FROM, _TO, _ASSET, _CONTRACT, _TOP, _BY),
                has_rows=True,
                is_cached=False,
            ),
        ]

    def _known(self) -> list[str]:
        return [name for name, one in NAMES.items() if one.table in self._figures.tables]

    def _list(self, _: Asked) -> Document:
        told = []
        for name in self._known():
            held = self._figures.of(name).ledgers(name)
            kind = NAMES[name]
            told.append(
                {
                    "name": name,
                    "summary": kind.summary,
                    "by": kind.keyed,
                    "orders": list(kind.orders),
                    "first_ledger": held.first if held else None,
                    "last_ledger": held.last if held else None,
                }
            )
        return Document({"analytics": told, "windows": list(WINDOWS)})

    def _answer(self, asked: Asked) -> Rows:
        name = asked["name"]
        if name not in self._known():
            remedy = nearest(name, self._known(), f"there are {', '.join(self._known()) or 'none'}")
            raise NotFound(f"there are no figures {shortened(name)!r} here: {remedy}", field="name")
        keys = ("window", "from", "to", "asset", "contract", "top", "by")
        given = {key: asked.get(key) for key in keys if asked.get(key)}
        with blaming(next(iter(given), "name") if len(given) == 1 else ""):
            answer, gaps = self._figures.answered(FiguresRequest.of(name, given))
        found = plain_numbers(answer.rows) if asked.format_name in _TEXT else answer.rows
        as_of = answer.ledgers.end if answer.ledgers else 0
        return Rows(found.schema, found.to_batches(), as_of, gaps=gaps)
