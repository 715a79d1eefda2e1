"""Every call of every service, with every state of credential; made from the table of permissions."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from starlette.routing import Mount, WebSocketRoute

import stellarrow as sa
from security.deployment import Deployment, Server, Shown
from stellarrow.security import api_keys
from stellarrow.security.access import Access
from stellarrow.security.api_keys import make_text
from stellarrow.security.permissions import ROLES, RULES, Asked, Permission, check_named
from stellarrow.servers.flight_base import VERBS
from stellarrow.servers.http_access import Guarded

BAD = ("none", "garbage", "unknown", "wrong secret", "expired", "revoked", "elsewhere", "two", "scheme")


def expected(call: str, role: str | None) -> str:
    """What the table says of a call: by a role, or by nobody who is known."""
    need = RULES[call].need
    if need is Asked.NOTHING:
        return "ok"
    if need is Asked.OPTIONAL:
        return "ok" if role else "unauthenticated"
    if role is None:
        return "unauthenticated"
    return "ok" if need is Asked.IDENTITY or need in ROLES[role] else "denied"


def every(deployment: Deployment) -> Iterator[tuple[Server, str]]:
    return ((server, call) for server in deployment.servers for call in server.calls)


@pytest.fixture(scope="module")
def keys(with_keys: Deployment) -> dict[str, Shown]:
    """A credential for each role, and one for each way to be wrong."""
    store = with_keys.store
    made = {
        role: Shown({"authorization": f"Bearer {store.create(role, [role], created_by='test')[1]}"})
        for role in ROLES
    }
    right = made["admin"].headers["authorization"].removeprefix("Bearer ")
    _, revoked = store.create("revoked", ["admin"], created_by="test")
    store.revoke("revoked")
    _, expired = store.create("expired", ["admin"], created_by="test", expires_at=time.time() + 0.05)
    _, elsewhere = store.create("elsewhere", ["admin"], created_by="test", allowed_networks=["10.0.0.0/8"])
    time.sleep(0.3)
    _, other = make_text()
    mixed = make_text()[1]
    wrong = {
        "none": {},
        "garbage": {"authorization": "Bearer stlr_x"},
        "unknown": {"authorization": f"Bearer {other}"},
        "wrong secret": {"authorization": f"Bearer {with_sum(right[:14] + mixed[14:-6])}"},
        "expired": {"authorization": f"Bearer {expired}"},
        "revoked": {"authorization": f"Bearer {revoked}"},
        "elsewhere": {"authorization": f"Bearer {elsewhere}"},
        "two": {"authorization": f"Bearer {right}", "x-api-key": other},
        "scheme": {"authorization": f"Digest {right}"},
    }
    return {**made, **{name: Shown(headers) for name, headers in wrong.items()}}


def with_sum(body: str) -> str:
    """Return a key's text with the checksum that belongs to it."""
    return body + api_keys._checksum(body)


def test_every_call_of_every_service_is_named_in_the_table(with_keys: Deployment) -> None:
    offered = {call for _, call in every(with_keys)}
    assert offered <= RULES.keys()
    unseen = RULES.keys() - offered
    # What no server of ours offers in this walk, by name: a line that stays in the table must be met.
    assert unseen == {
        *("/grpc.health.v1.Health/List", "/grpc.health.v1.Health/Watch"),
        *("Flight.Handshake", "Flight.DoPut of parameters"),
    }
    assert {f"Flight.{verb}" for verb in VERBS} <= RULES.keys()


def test_a_call_that_the_table_does_not_name_is_refused_when_the_server_is_made() -> None:
    with pytest.raises(sa.ConfigError, match="no permission is named for GET /new"):
        check_named(["GET /health", "GET /new"])


def test_a_websocket_and_a_mounted_application_are_refused_unless_they_are_named() -> None:
    async def answer(*_: object) -> None:
        """Never get here."""

    for route, told in (
        (WebSocketRoute("/v1/new", answer), "no permission is named for WEBSOCKET /v1/new"),
        (Mount("/static", answer), "Mount has no permission"),
    ):
        with pytest.raises(sa.ConfigError, match=told):
            Guarded(answer, access=Access([]), routes=[route])


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_role_may_make_the_calls_that_the_table_permits_and_no_other(
    with_keys: Deployment, keys: dict[str, Shown], role: str
) -> None:
    wrong = [
        (server.service, call, outcome)
        for server, call in every(with_keys)
        if (outcome := server.outcome(call, keys[role])) != expected(call, role)
    ]
    assert wrong == []


@pytest.mark.parametrize("state", BAD)
def test_a_caller_without_a_good_credential_makes_the_open_calls_alone(
    with_keys: Deployment, keys: dict[str, Shown], state: str
) -> None:
    wrong = []
    for server, call in every(with_keys):
        outcome = server.outcome(call, keys[state])
        # The status of /health is for everybody who shows nothing.
        is_health = call == "GET /health" and state == "none"
        if outcome != ("status alone" if is_health else expected(call, None)):
            wrong.append((server.service, call, outcome))
    assert wrong == []


def test_each_permission_is_asked_for_by_a_call() -> None:
    asked = {rule.need for rule in RULES.values()}
    assert set(Permission) - asked == set()
