"""A stream that says before each operation that leaves a trace that one is due."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stellarrow.sinks.nats.address import Address
from stellarrow.sinks.nats.stream import Stream


def stepping_stream(url: str, step: Callable[[], None]) -> Stream:
    """Return a stream for another process, which does not outlive its steps."""

    class SteppingStream(Stream):
        async def _send(self, *given: Any, **named: Any) -> bytes:
            step()
            return await super()._send(*given, **named)

        def _asked(self, what: str, *given: Any) -> dict[str, Any]:
            if what != "INFO":
                step()
            return super()._asked(what, *given)

    return SteppingStream(Address.parse(url))
