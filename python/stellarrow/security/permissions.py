"""Which call needs which permission, and which role has it: the one table that every server asks.

A call is named `GET /path` over HTTP (with the route's own path), `/package.Service/Method` over gRPC, and
`Flight.Verb` over Arrow Flight. A server refuses to be made with a call that is not named here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from stellarrow.errors import ConfigError


class Permission(StrEnum):
    """What a role may permit."""

    READ_LEDGERS = "ReadLedgers"
    WRITE_LEDGERS = "WriteLedgers"
    READ_METRICS = "ReadMetrics"
    WRITE_METRICS = "WriteMetrics"
    ADMIN = "Admin"


class Asked(StrEnum):
    """What a call needs that is no permission."""

    NOTHING = "nothing"  # anybody may make it, and is not looked at
    IDENTITY = "identity"  # anybody who is known
    OPTIONAL = "optional"  # anybody; the answer says more to whom it may


ROLES: Final[Mapping[str, frozenset[Permission]]] = {
    "admin": frozenset(Permission),
    "reader": frozenset((Permission.READ_LEDGERS, Permission.READ_METRICS)),
    "processor": frozenset((Permission.READ_LEDGERS, Permission.WRITE_LEDGERS, Permission.READ_METRICS)),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """What a call needs, and the event the audit log has of it where it is made."""

    need: Permission | Asked
    event: str = ""


_CONTROL: Final = "/contractdata.v1.ControlService"
_HEALTH: Final = "/grpc.health.v1.Health"
_KEYS: Final = "/v1/admin/api-keys"
_LOG_LEVEL: Final = "/v1/admin/log-level"
_LIFECYCLE: Final = "/v1/admin/lifecycle"

RULES: Final[Mapping[str, Rule]] = {
    # HTTP, every service
    "GET /health": Rule(Asked.OPTIONAL),
    "GET /health/live": Rule(Asked.NOTHING),
    "GET /health/ready": Rule(Asked.NOTHING),
    "GET /ready": Rule(Asked.NOTHING),
    "GET /metrics": Rule(Permission.READ_METRICS),
    "POST /v1/tickets": Rule(Asked.IDENTITY),
    f"POST {_KEYS}": Rule(Permission.ADMIN, "key created"),
    f"GET {_KEYS}": Rule(Permission.ADMIN),
    f"GET {_KEYS}/{{key_id}}": Rule(Permission.ADMIN),
    f"POST {_KEYS}/{{key_id}}/rotate": Rule(Permission.ADMIN, "key rotated"),
    f"DELETE {_KEYS}/{{key_id}}": Rule(Permission.ADMIN, "key revoked"),
    f"GET {_LOG_LEVEL}": Rule(Permission.WRITE_METRICS),
    f"POST {_LOG_LEVEL}": Rule(Permission.WRITE_METRICS, "log level changed"),
    f"GET {_LIFECYCLE}": Rule(Permission.ADMIN),
    f"GET {_LIFECYCLE}/plan": Rule(Permission.ADMIN),
    f"GET {_LIFECYCLE}/run": Rule(Permission.ADMIN),
    f"POST {_LIFECYCLE}/run": Rule(Permission.ADMIN, "lifecycle run asked for"),
    f"DELETE {_LIFECYCLE}/run": Rule(Permission.ADMIN, "lifecycle run stopped"),
    # HTTP, the processor and the consumer
    "GET /sessions": Rule(Permission.READ_METRICS),
    "GET /analytics": Rule(Permission.READ_METRICS),
    "GET /readers": Rule(Permission.READ_METRICS),
    # its owner; another caller needs WriteLedgers
    "DELETE /readers/{name}": Rule(Permission.READ_LEDGERS, "reader removed"),
    "GET /stats": Rule(Permission.READ_METRICS),
    # HTTP, analytics
    "GET /openapi.json": Rule(Asked.NOTHING),
    "GET /docs": Rule(Asked.NOTHING),
    "GET /v1/status": Rule(Permission.READ_LEDGERS),
    "GET /v1/ledgers": Rule(Permission.READ_LEDGERS),
    "GET /v1/ledgers/latest": Rule(Permission.READ_LEDGERS),
    "GET /v1/ledgers/{ledger}": Rule(Permission.READ_LEDGERS),
    "GET /v1/tables": Rule(Permission.READ_LEDGERS),
    "GET /v1/tables/{table}": Rule(Permission.READ_LEDGERS),
    "GET /v1/tables/{table}/rows": Rule(Permission.READ_LEDGERS),
    "GET /v1/analytics": Rule(Permission.READ_LEDGERS),
    "GET /v1/analytics/{name}": Rule(Permission.READ_LEDGERS),
    "POST /v1/query": Rule(Permission.READ_LEDGERS),
    "GET /v1/exports": Rule(Permission.READ_LEDGERS),  # each caller its own; administrators all
    "POST /v1/exports": Rule(Permission.READ_LEDGERS, "export ordered"),
    "GET /v1/exports/{export}": Rule(Permission.READ_LEDGERS),
    "DELETE /v1/exports/{export}": Rule(Permission.READ_LEDGERS, "export deleted"),
    "GET /v1/exports/{export}/files/{name}": Rule(Permission.READ_LEDGERS, "export downloaded"),
    "GET /v1/stream/{table}": Rule(Permission.READ_LEDGERS),
    "WEBSOCKET /v1/ws": Rule(Asked.OPTIONAL),  # what is subscribed to needs ReadLedgers
    "GET /v1/accounts/{account}/transfers": Rule(Permission.READ_LEDGERS),
    "GET /v1/accounts/{account}/balances": Rule(Permission.READ_LEDGERS),
    "GET /v1/assets": Rule(Permission.READ_LEDGERS),
    "GET /v1/assets/{asset}": Rule(Permission.READ_LEDGERS),
    "GET /v1/assets/{asset}/transfers": Rule(Permission.READ_LEDGERS),
    "GET /v1/assets/{asset}/volume": Rule(Permission.READ_LEDGERS),
    "GET /v1/assets/{asset}/holders": Rule(Permission.READ_LEDGERS),
    "GET /v1/contracts/{contract}": Rule(Permission.READ_LEDGERS),
    "GET /v1/contracts/{contract}/storage": Rule(Permission.READ_LEDGERS),
    "GET /v1/contracts/{contract}/interface": Rule(Permission.READ_LEDGERS),
    "GET /v1/contracts/{contract}/events": Rule(Permission.READ_LEDGERS),
    # the web page: files that everybody may have, and that ask the calls above for all they show
    "GET /": Rule(Asked.NOTHING),
    "GET /feed": Rule(Asked.NOTHING),
    "GET /assets": Rule(Asked.NOTHING),
    "GET /assets/{name:path}": Rule(Asked.NOTHING),
    "GET /accounts/{name:path}": Rule(Asked.NOTHING),
    "GET /contracts/{name:path}": Rule(Asked.NOTHING),
    "GET /ledgers/{name:path}": Rule(Asked.NOTHING),
    "GET /sql": Rule(Asked.NOTHING),
    "GET /coverage": Rule(Asked.NOTHING),
    "GET /terms": Rule(Asked.NOTHING),
    "GET /page/{name:path}": Rule(Asked.NOTHING),
    # gRPC
    "/raw_ledger_service.RawLedgerService/StreamRawLedgers": Rule(Permission.READ_LEDGERS),
    f"{_CONTROL}/StartProcessing": Rule(Permission.WRITE_LEDGERS, "session started"),
    f"{_CONTROL}/StopProcessing": Rule(Permission.WRITE_LEDGERS, "session stopped"),
    f"{_CONTROL}/GetStatus": Rule(Permission.READ_METRICS),
    f"{_CONTROL}/ConfigureFilters": Rule(Permission.WRITE_LEDGERS, "filters configured"),
    f"{_CONTROL}/GetMetrics": Rule(Permission.READ_METRICS),
    f"{_HEALTH}/Check": Rule(Asked.NOTHING),
    f"{_HEALTH}/List": Rule(Asked.NOTHING),
    f"{_HEALTH}/Watch": Rule(Asked.NOTHING),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Rule(Asked.IDENTITY),
    # Arrow Flight, all verbs there are: what a server does not offer needs a permission too
    "Flight.Handshake": Rule(Asked.NOTHING),  # it is itself how a caller proves who it is
    "Flight.ListFlights": Rule(Permission.READ_LEDGERS),
    "Flight.GetFlightInfo": Rule(Permission.READ_LEDGERS),
    "Flight.GetSchema": Rule(Permission.READ_LEDGERS),
    "Flight.DoGet": Rule(Permission.READ_LEDGERS),
    "Flight.DoPut": Rule(Permission.WRITE_LEDGERS),
    "Flight.DoPut of parameters": Rule(Permission.READ_LEDGERS),  # of a query, where nothing else is taken
    "Flight.DoExchange": Rule(Permission.WRITE_LEDGERS),
    "Flight.DoAction": Rule(Permission.READ_LEDGERS),  # readers acknowledge what they have
    "Flight.ListActions": Rule(Permission.READ_LEDGERS),
}


def permissions_of(roles: Iterable[str]) -> frozenset[Permission]:
    """Return what some roles permit together; ConfigError for a role that is unknown."""
    found: frozenset[Permission] = frozenset()
    for role in roles:
        if role not in ROLES:
            raise ConfigError(f"{role!r} is no role: choose among {', '.join(ROLES)}")
        found |= ROLES[role]
    return found


def check_named(calls: Iterable[str]) -> None:
    """Refuse calls that the table does not name: nobody has said who may make them."""
    if unknown := sorted(set(calls) - RULES.keys()):
        raise ConfigError(f"no permission is named for {', '.join(unknown)}: add it to security/permissions")
