"""Every endpoint of REST, in the order that the reference has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stellarrow.analytics.reads.reading import Tables
from stellarrow.extras import needing
from stellarrow.servers.analytics_http.endpoint import Endpoint, routes_of
from stellarrow.servers.analytics_http.rows import TableRows
from stellarrow.servers.analytics_http.tables import TableEndpoints

with needing("HTTP", "servers"):
    from starlette.routing import BaseRoute


def endpoints(tables: Tables, following: Callable[[], Mapping[str, Any]]) -> list[Endpoint]:
    """Return what can be asked; `following` says where newer ledgers come from."""
    rows = TableRows(tables)
    return [*TableEndpoints(tables, rows, following).endpoints()]


def routes(tables: Tables, following: Callable[[], Mapping[str, Any]]) -> list[BaseRoute]:
    """Return the routes of REST."""
    return [*routes_of(endpoints(tables, following), lambda: tables.version)]
