"""A named reader's place is its owner's, where callers are known."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
import urllib3
from pyarrow import flight

import stellarrow as sa
from stellarrow.processor.kept_readers import KeptReaders
from stellarrow.security.access import Access
from stellarrow.security.permissions import permissions_of
from stellarrow.security.principal import Call, Principal
from stellarrow.servers import processor_http
from stellarrow.servers.http import HealthServer
from stellarrow.servers.processor_flight import FlightServer

from .conftest import ANYWHERE, Service, Start, Tables

LEDGERS: dict[str, Any] = {"table": "ledgers", "reader": "warehouse", "follow": False}


class Named:
    """Believes whoever says a name; chief may write, others read."""

    kind = "test"

    def __call__(self, call: Call, /) -> Principal | None:
        roles = ("processor",) if call.token == "chief" else ("reader",)
        return Principal(call.token, self.kind, roles, permissions_of(roles)) if call.token else None

    def may_wait(self, _: Call, /) -> bool:
        return False


class _Caller(Tables):
    """A Flight client that says its name."""

    def __init__(self, address: Any, name: str) -> None:
        super().__init__(address)
        self.headers = [(b"authorization", f"Bearer {name}".encode())]

    def rows(self, **command: Any) -> list[dict[str, Any]]:
        """Read to the end, and return what was told of each batch."""
        ticket = flight.Ticket(json.dumps(command).encode())
        stream = self.client.do_get(ticket, flight.FlightCallOptions(headers=self.headers))
        return [json.loads(chunk.app_metadata.to_pybytes()) for chunk in stream]

    def acknowledge(self, reader: str, table: str, resume: str) -> None:
        body = json.dumps({"reader": reader, "table": table, "resume": resume}).encode()
        options = flight.FlightCallOptions(headers=self.headers)
        list(self.client.do_action(flight.Action("acknowledge", body), options))


class Guarded:
    """A processor's Flight and HTTP, for callers that say a name."""

    def __init__(self, service: Service, stack: ExitStack) -> None:
        access = Access([Named()])
        self.service = service
        self.flight = stack.enter_context(closing(FlightServer(ANYWHERE, service.processor, access=access)))
        routes = processor_http.routes(service.processor, access)
        self._http = stack.enter_context(
            closing(HealthServer(ANYWHERE, ready=threading.Event(), routes=routes, access=access))
        )
        self._http.start()
        self._stack = stack

    def caller(self, name: str) -> _Caller:
        made = _Caller(self.flight.address, name)
        self._stack.callback(made.client.close)
        return made

    def remove(self, reader: str, name: str) -> int:
        url = f"http://{self._http.address}/readers/{reader}"
        headers = {"authorization": f"Bearer {name}"}
        return int(urllib3.request("DELETE", url, headers=headers, timeout=60, retries=False).status)


@pytest.fixture
def guarded(start: Start) -> Iterator[Guarded]:
    service = start()
    service.finished(service.processor.start(100, 139).id, within=120)
    with ExitStack() as stack:
        yield Guarded(service, stack)


def test_another_caller_neither_reads_nor_acknowledges_by_a_name_that_is_taken(guarded: Guarded) -> None:
    own, other = guarded.caller("ann"), guarded.caller("bob")
    told = own.rows(**LEDGERS)
    for wrong in (
        lambda: other.rows(**LEDGERS),
        lambda: other.rows(**LEDGERS, **{"from": "earliest"}),
        lambda: other.acknowledge("warehouse", "ledgers", told[-1]["resume"]),
    ):
        with pytest.raises(flight.FlightUnauthorizedError, match="another caller's: take another name"):
            wrong()
    assert own.rows(**LEDGERS) == told
    own.acknowledge("warehouse", "ledgers", told[-1]["resume"])
    assert own.rows(**LEDGERS) == []


def test_who_owns_a_reader_is_known_over_restarts_and_older_files_are_of_who_comes_first(
    guarded: Guarded,
) -> None:
    path = guarded.service.processor.options.state_dir / "readers.json"
    guarded.caller("ann").rows(**LEDGERS)
    with pytest.raises(sa.PermissionDenied):
        KeptReaders(path).find("warehouse", "ledgers@1.0", owner="test:bob")
    held = json.loads(path.read_text())
    for one in held["readers"]:
        del one["owner"]
    path.write_text(json.dumps(held))
    again = KeptReaders(path)
    found = again.find("warehouse", "ledgers@1.0", owner="test:bob")
    assert found is not None
    assert again.put("warehouse", "ledgers@1.0", found.resume, owner="test:bob").owner == "test:bob"


def test_a_reader_is_removed_by_its_owner_and_by_who_may_write(guarded: Guarded) -> None:
    own = guarded.caller("ann")
    own.rows(**LEDGERS)
    for remover, status in (("bob", 403), ("ann", 204), ("ann", 404)):
        assert guarded.remove("warehouse", remover) == status
    own.rows(**LEDGERS)
    assert [guarded.remove("warehouse", who) for who in ("bob", "chief")] == [403, 204]


def test_one_caller_takes_a_part_of_the_places_and_what_is_refused_holds_nothing_up(guarded: Guarded) -> None:
    own, other = guarded.caller("ann"), guarded.caller("bob")
    for number in range(20):
        own.rows(**{**LEDGERS, "reader": f"a{number}"})
    with pytest.raises(flight.FlightUnavailableError, match="20 places of yours are kept, which is the most"):
        own.rows(**LEDGERS)
    (work,) = guarded.service.processor.works()
    assert work.spool is not None
    assert not [name for name in work.spool.readers if name.startswith("warehouse ")]
    assert other.rows(**LEDGERS)
