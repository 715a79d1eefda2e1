"""A client of the WebSocket that knows the subprotocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync import client as websocket

from analytics.conftest import COUNT, FIRST, Given, Served

Start = Callable[..., tuple[Served, Given]]
LAST = FIRST + COUNT - 1

connect: Any = websocket.connect


class Client:
    """A client that knows the subprotocol."""

    def __init__(self, socket: websocket.ClientConnection) -> None:
        self.socket = socket
        self.ready = self.next("ready")

    def say(self, op: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"op": op, **fields}))

    def next(self, *wanted: str) -> dict[str, Any]:
        while True:
            text = self.socket.recv(timeout=20)
            assert isinstance(text, str)
            told: dict[str, Any] = json.loads(text)
            if told["op"] in wanted or not wanted:
                return told
            assert told["op"] in ("data", "pong", "gap"), told

    def next_of(self, op: str) -> dict[str, Any]:
        """Return the next message of a kind, whatever comes before it."""
        while True:
            told: dict[str, Any] = json.loads(self.socket.recv(timeout=20))
            if told["op"] == op:
                return told

    def subscribe(self, **fields: Any) -> dict[str, Any]:
        self.say("subscribe", **{"id": "t", "channel": "token_transfers", **fields})
        return self.next("subscribed")

    def rows(self, until: int, most: int | None = None) -> tuple[list[dict[str, Any]], str]:
        """Return rows up to a ledger, or of so many messages, and where to go on."""
        found: list[dict[str, Any]] = []
        count, resume = 0, ""
        while True:
            told = self.next("data")
            found += told["rows"]
            resume = told["resume"]
            count += 1
            if told["last_ledger"] >= until or count == most:
                return found, resume


@contextmanager
def connected(served: Served, *, port: str = "rest", **choices: Any) -> Iterator[Client]:
    address = getattr(served.service, port).address
    with connect(
        f"ws://{address}/v1/ws",
        subprotocols=["stellarrow.v1"],
        compression=None,
        max_size=None,
        **choices,
    ) as socket:
        assert socket.subprotocol == "stellarrow.v1"
        yield Client(socket)


def code_of(client: Client) -> int | None:
    """Return the code that the server closes with."""
    with suppress(ConnectionClosed):
        while True:
            client.socket.recv(timeout=20)
    return client.socket.close_code


def given_until(start: Start, ledger: int, **flags: Any) -> tuple[Served, Given]:
    served, chain = start(**flags)
    chain.give(ledger)
    served.wait_for(ledger)
    return served, chain
