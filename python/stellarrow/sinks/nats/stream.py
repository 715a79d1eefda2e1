"""The stream: made where it is not there, written in atomic batches, read by sequence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final

from nats.aio.client import Client

from stellarrow.errors import SinkUnavailable
from stellarrow.protocols import Health
from stellarrow.sinks.nats.address import Address
from stellarrow.sinks.nats.connection import ANSWER_SECONDS, Connection
from stellarrow.sinks.nats.failures import STREAM_IS_THERE, STREAM_NOT_FOUND, answer_of, api_error, unfit

BATCH_MESSAGES: Final = 1_000  # that servers take in one batch by default
_BATCH_SECONDS: Final = 120.0
_UNANSWERED_BYTES: Final = 8 << 20  # of a batch, after which we wait until the server has taken them
_UNANSWERED_MESSAGES: Final = 250
_READ_MESSAGES: Final = 500
_READ_BYTES: Final = 8 << 20
_NO_MESSAGE: Final = "404"
_ALL_SENT: Final = "204"


@dataclass(frozen=True, slots=True)
class Message:
    """A message to be sent."""

    subject: str
    value: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as the stream has it."""

    sequence: int
    subject: str
    value: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class State:
    """A stream that is there: its settings by JetStream's names, and where it ends."""

    config: Mapping[str, Any]
    created: str
    messages: int
    last: int

    @property
    def is_aging(self) -> bool:
        """Whether rows go after a while."""
        return bool(self.config.get("max_age"))

    def fault(self) -> str | None:
        """Say what of its settings would lose rows or coverage, and what to do."""
        config = self.config
        if not config.get("allow_atomic"):
            return "takes no atomic batches: set allow_atomic, on nats-server 2.12 or newer"
        if not config.get("allow_direct"):
            return "cannot be read directly: set allow_direct"
        if not config.get("allow_rollup_hdrs") or config.get("deny_purge"):
            return "cannot replace coverage: set allow_rollup_hdrs, and deny_purge to false"
        if config.get("retention") != "limits":
            return "loses what consumers have read: use one with retention=limits"
        if config.get("max_msgs_per_subject", -1) > 0:
            return "keeps few messages a subject: set max_msgs_per_subject to -1"
        if (
            config.get("discard") != "new"
            and max(config.get("max_msgs", -1), config.get("max_bytes", -1)) > 0
        ):
            return (
                "would throw coverage away with the oldest rows: set discard=new, or instead of max_msgs and"
                " max_bytes a max_age"
            )
        if self.is_aging and not config.get("allow_msg_ttl"):
            return "would throw coverage away by its max_age: set allow_msg_ttl before anything is written"
        return None


class Stream:
    """One stream on servers. Nothing is connected before something is asked."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.connection = Connection(address)

    def __str__(self) -> str:
        return f"stream {self.address.stream}"

    def state(self) -> State | None:
        """Return what the stream is like, None where there is none."""
        told = self._asked("INFO")
        if "error" in told:
            if told["error"].get("err_code") == STREAM_NOT_FOUND:
                return None
            raise api_error(told["error"], doing=f"read {self} of", server=str(self.address))
        at = told["state"]
        return State(told["config"], told["created"], int(at["messages"]), int(at["last_seq"]))

    def made(self) -> State:
        """Return what the stream is like, made where it is not there."""
        if there := self.state():
            return there
        config = {
            "name": self.address.stream,
            "description": "Stellar ledgers by stellarrow",
            "subjects": [f"{self.address.prefix}.>"],
            "retention": "limits",
            "discard": "old",
            "storage": "file",
            "compression": "s2",
            "num_replicas": self.address.replicas,
            "allow_atomic": True,
            "allow_direct": True,
            "allow_rollup_hdrs": True,
            "allow_msg_ttl": True,
        }
        told = self._asked("CREATE", config)
        if "error" in told and told["error"].get("err_code") != STREAM_IS_THERE:
            raise api_error(told["error"], doing=f"make {self} of", server=str(self.address))
        if there := self.state():
            return there
        raise SinkUnavailable(f"{self.address} made {self}, but does not show it: try again")

    def message_bytes(self, there: State) -> int:
        """Return the largest message that server and stream take."""
        own = int(there.config.get("max_msg_size", -1))
        limit = self.connection.max_payload
        return min(own, limit) if own > 0 else limit

    def publish(self, messages: Sequence[Message]) -> int:
        """Make messages durable all at once, or none; return the last one's sequence.

        Others lie right before it. An Overtaken says that a message expected another one before it.
        """
        told = answer_of(
            self.connection.run(
                f"write to {self} of", lambda client: self._batch(client, messages), seconds=_BATCH_SECONDS
            ),
            doing=f"write to {self} of",
            server=str(self.address),
        )
        return int(told["seq"])

    async def _batch(self, client: Client, messages: Sequence[Message]) -> bytes:
        """Send a batch; the last message commits it, and a server that lacks one of them refuses it."""
        name, unanswered, size = token_hex(16), 0, 0
        for number, one in enumerate(messages, 1):
            headers = {**one.headers, "Nats-Batch-Id": name, "Nats-Batch-Sequence": str(number)}
            if number == 1:
                headers["Nats-Expected-Stream"] = self.address.stream
            is_last = number == len(messages)
            if is_last:
                headers["Nats-Batch-Commit"] = "1"
            unanswered, size = unanswered + 1, size + len(one.value)
            if is_last or size > _UNANSWERED_BYTES or unanswered >= _UNANSWERED_MESSAGES:
                answer = await self._send(client, one, headers, asking=True)
                if answer or is_last:
                    return answer
                unanswered, size = 0, 0
            else:
                await self._send(client, one, headers, asking=False)
        return b"{}"

    async def _send(self, client: Client, one: Message, headers: dict[str, str], *, asking: bool) -> bytes:
        if asking:
            answer = await client.request(one.subject, one.value, ANSWER_SECONDS, headers=headers)
            return bytes(answer.data)
        await client.publish(one.subject, one.value, headers=headers)
        return b""

    def messages(self, subjects: str, first: int, end: int | None = None) -> Iterator[Stored]:
        """Yield messages from one sequence up to, without, another, in their order."""
        subject = f"$JS.API.DIRECT.GET.{self.address.stream}"
        is_more = True
        while is_more and (end is None or first < end):
            asked = {
                "seq": first,
                "next_by_subj": subjects,
                "batch": _READ_MESSAGES,
                "max_bytes": _READ_BYTES,
            }
            *found, last = self.connection.gather(subject, json.dumps(asked).encode())
            if last.status == _NO_MESSAGE:
                return
            is_more = int(last.headers.get("Nats-Num-Pending", "0")) > 0
            if last.status != _ALL_SENT or (is_more and not found):
                said = f"{last.status} {last.headers.get('Description', '')}".strip()
                raise SinkUnavailable(
                    f"cannot read {self} of {self.address} ({said}): see that it has allow_direct, then"
                    " run the same again"
                )
            for reply in found:
                sequence = int(reply.headers["Nats-Sequence"])
                if end is not None and sequence >= end:
                    return
                yield Stored(sequence, reply.headers["Nats-Subject"], reply.data, reply.headers)
                first = sequence + 1

    def health(self) -> Health:
        """Say whether the server answers, and what there is of the stream."""
        there = self.state()
        if there is None:
            return Health("ok", f"JetStream answers, {self} is not there yet")
        if fault := there.fault():
            return Health("broken", f"{self} {fault}")
        return Health("ok", f"{self} has {there.messages:,} messages")

    def refuse_unfit(self, there: State) -> None:
        """Raise SchemaMismatch where the stream would lose rows or coverage."""
        if fault := there.fault():
            raise unfit(self.address.stream, fault)

    def close(self) -> None:
        """Let go of the connection."""
        self.connection.drop()

    def _asked(self, what: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask JetStream about the stream; its answer may be an error."""
        subject = f"$JS.API.STREAM.{what}.{self.address.stream}"
        reply = self.connection.request(subject, json.dumps(body).encode() if body else b"")
        told: dict[str, Any] = json.loads(reply.data)
        return told
