"""Every endpoint of REST, in the order that the reference has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stellarrow.analysis.reads.figures import KeptFigures
from stellarrow.analysis.reads.reading import Tables
from stellarrow.extras import needing
from stellarrow.servers.analytics_http.accounts import AccountEndpoints
from stellarrow.servers.analytics_http.aging import described_aging
from stellarrow.servers.analytics_http.assets import AssetEndpoints
from stellarrow.servers.analytics_http.contracts import ContractEndpoints
from stellarrow.servers.analytics_http.endpoint import Endpoint, routes_of
from stellarrow.servers.analytics_http.exports_described import described_exports
from stellarrow.servers.analytics_http.figures import FigureEndpoints
from stellarrow.servers.analytics_http.openapi import document
from stellarrow.servers.analytics_http.pages import page_routes
from stellarrow.servers.analytics_http.query import Queries, described_query, query_route
from stellarrow.servers.analytics_http.reference import reference_routes
from stellarrow.servers.analytics_http.rows import TableRows
from stellarrow.servers.analytics_http.stream import described, stream_route
from stellarrow.servers.analytics_http.summaries import Summaries
from stellarrow.servers.analytics_http.tables import TableEndpoints
from stellarrow.servers.analytics_live import Channels

with needing("HTTP", "servers"):
    from starlette.routing import BaseRoute, Route


def endpoints(
    tables: Tables, figures: KeptFigures, following: Callable[[], Mapping[str, Any]]
) -> list[Endpoint]:
    """Return what can be asked; `following` says where newer ledgers come from."""
    rows, summaries = TableRows(tables), Summaries(tables)
    return [
        *TableEndpoints(tables, rows, following).endpoints(),
        *AccountEndpoints(tables, rows, summaries).endpoints(),
        *AssetEndpoints(tables, rows, summaries).endpoints(),
        *ContractEndpoints(tables, rows, summaries).endpoints(),
        *FigureEndpoints(figures).endpoints(),
    ]


def routes(
    tables: Tables,
    figures: KeptFigures,
    channels: Channels,
    queries: Queries,
    following: Callable[[], Mapping[str, Any]],
    *,
    exports: list[Route],
    aging: Sequence[BaseRoute] = (),
    is_open: bool = False,
) -> list[BaseRoute]:
    """Return the routes of REST, what describes them, and the web page; `aging` are the lifecycle's.

    Nobody has to say who they are where `is_open`.
    """
    made = endpoints(tables, figures, following)
    told = [*made, described_query(), described(), *described_exports()]
    schemas = {name: tables.snapshot(name).schema for name in tables.names}
    return [
        *page_routes(tables.names, is_open=is_open),
        *routes_of(made, lambda: tables.version),
        stream_route(channels),
        query_route(queries),
        *exports,
        *aging,
        *reference_routes(told, document(told, schemas, described_aging() if aging else {})),
    ]
