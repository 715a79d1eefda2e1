"""Three servers that keep a stream together, of which one after another dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from nats.errors import Error
from nats.js import JetStreamContext

from fakes.nats import NatsServer, started
from fakes.process import free_port
from sinks.kafka.test_faults import running, wait_for
from sinks.nats.reader import asked
from sinks.nats.test_faults import FIRST, LAST, Streams

pytestmark = pytest.mark.slow
_NAMES = ("one", "two", "three")
_LOOK_SECONDS = 2.0  # for an answer that only a leader gives
_SETTINGS = """
server_name: {name}
cluster {{ name: three, listen: "127.0.0.1:{port}", routes: [{routes}] }}
"""


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[str, NatsServer]]:
    """Servers by their names, once they have a leader."""
    ports = {name: free_port() for name in _NAMES}
    routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports.values())
    made: dict[str, NatsServer] = {}
    try:
        for name, port in ports.items():
            (tmp_path / name).mkdir()
            made[name] = started(tmp_path / name, _SETTINGS.format(name=name, port=port, routes=routes))
        wait_for(partial(_has_leader, made["one"]))
        yield made
    finally:
        for server in made.values():
            server.process.kill()


def _has_leader(server: NatsServer) -> bool:
    async def told(jetstream: JetStreamContext) -> None:
        await jetstream.add_stream(name="ready", subjects=["ready"], num_replicas=3)

    with suppress(Error, OSError):
        asked(server.address, told, _LOOK_SECONDS)
        return True
    return False


def _leader(server: NatsServer, stream: str) -> str:
    async def told(jetstream: JetStreamContext) -> str:
        found = (await jetstream.stream_info(stream)).cluster
        return (found and found.leader) or ""

    with suppress(Error, OSError):
        leads: str = asked(server.address, told, _LOOK_SECONDS)
        return leads
    return ""


def test_a_leader_that_is_killed_while_three_write_loses_and_doubles_nothing(
    servers: dict[str, NatsServer], ledgers: tuple[bytes, ...]
) -> None:
    every = ",".join(server.address for server in servers.values())
    streams = Streams(servers["one"], ledgers, replicas=3)
    streams.bring(every, range(FIRST, FIRST + 3))
    writers = [running(partial(streams.bring, every)) for _ in range(3)]
    for _ in range(3):
        leader = ""
        while not leader:
            leader = _leader(servers["one"], streams.name)
        killed = servers[leader].process
        killed.kill()
        killed.start()
    for done in writers:
        done()
    for server in servers.values():
        streams.server = server
        assert str(streams.covered()) == f"{FIRST}:{LAST}"
        streams.assert_right()
