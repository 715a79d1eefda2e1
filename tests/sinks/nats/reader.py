"""A reader that is not ours: a consumer of JetStream, as programs have it, by NATS's own client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from nats import connect
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

_SECONDS = 60.0  # for an answer, which takes milliseconds on a machine of its own
_PATIENCE = 2.0  # for messages that were counted
_AT_ONCE = 200


def asked(address: str, work: Callable[[JetStreamContext], Awaitable[Any]], seconds: float = _SECONDS) -> Any:
    """Do something with JetStream, on a connection of its own."""

    async def done() -> Any:
        client: Client = await connect(f"nats://{address}", allow_reconnect=False)
        try:
            return await work(client.jetstream(timeout=seconds))
        finally:
            await client.close()

    return asyncio.run(done())


@dataclass
class PlainReader:
    """Reads streams of a server."""

    address: str

    def messages(self, stream: str, subject: str = ">") -> list[dict[str, Any]]:
        """Return the messages of subjects, as a consumer is given them."""

        async def read(jetstream: JetStreamContext) -> list[dict[str, Any]]:
            try:
                left = (await jetstream.stream_info(stream)).state.messages
            except NotFoundError:
                return []
            if not left:
                return []
            config = ConsumerConfig(ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL)
            config.filter_subject = subject
            consumer = await jetstream.pull_subscribe(subject, stream=stream, config=config)
            found: list[dict[str, Any]] = []
            while (left := await self._left(consumer, len(found))) > 0:
                with suppress(TimeoutError):  # some may have gone by age since they were counted
                    for one in await consumer.fetch(min(_AT_ONCE, left), timeout=_PATIENCE):
                        place = one.metadata.sequence.stream
                        headers = {str(name): value for name, value in (one.headers or {}).items()}
                        found.append(
                            {"sequence": place, "subject": one.subject, "headers": headers, "value": one.data}
                        )
            name = (await consumer.consumer_info()).name
            await jetstream.delete_consumer(stream, name)
            return found

        made: list[dict[str, Any]] = asked(self.address, read)
        return made

    @staticmethod
    async def _left(consumer: JetStreamContext.PullSubscription, found: int) -> int:
        """Return how many messages are still to come: those to be sent, and those sent and not found yet."""
        told = await consumer.consumer_info()
        sent = told.delivered.consumer_seq if told.delivered else 0
        return (told.num_pending or 0) + sent - found

    def rows(self, stream: str, subject: str) -> list[dict[str, Any]]:
        """Return the rows of subjects that hold Arrow IPC streams."""
        return [
            row
            for message in self.messages(stream, subject)
            for row in pa.ipc.open_stream(message["value"]).read_all().to_pylist()
        ]

    def purge(self, stream: str, subject: str, *, keep: int = 0, up_to: int | None = None) -> None:
        """Remove messages of subjects, as somebody else does."""

        async def purged(jetstream: JetStreamContext) -> None:
            await jetstream.purge_stream(stream, subject=subject, keep=keep or None, seq=up_to)

        asked(self.address, purged)

    def make(self, **config: Any) -> None:
        """Make a stream as somebody else does."""
        kept = {"allow_atomic": True, "allow_direct": True, "allow_rollup_hdrs": True, "allow_msg_ttl": True}

        async def made(jetstream: JetStreamContext) -> None:
            await jetstream.add_stream(**(kept | config))

        asked(self.address, made)
