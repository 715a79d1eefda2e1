"""One Kafka cluster: clients of it, its topics, and where partitions end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from stellarrow.errors import SinkUnavailable
from stellarrow.protocols import Health
from stellarrow.sinks.kafka.address import Address
from stellarrow.sinks.kafka.failures import (
    END_OF_PARTITION,
    TIMED_OUT,
    TOPIC_IS_THERE,
    Heard,
    to_error,
    translated,
    unusable,
)

TIMEOUT: Final = 20.0  # seconds for one question
CONNECT_SECONDS: Final = 10.0
TRANSACTION_SECONDS: Final = 60
_DOWN_SECONDS: Final = 2.0  # where every broker refuses connections
_ASK_SECONDS: Final = 1.0
_CONSUMED_AT_ONCE: Final = 500  # messages
_BATCH_BYTES: Final = 1_000_000  # below what brokers take by default
_POLL_SECONDS: Final = 0.5
_SETTLE_SECONDS: Final = 2.0  # for the markers of a commit, which take milliseconds
_LOOK_SECONDS: Final = 0.05

_log: Final = logging.getLogger("stellarrow.kafka.client")  # librdkafka's own words: errors have them, too
_log.addHandler(logging.NullHandler())
_log.propagate = False


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic that is there: its settings by Kafka's names."""

    name: str
    partitions: int
    settings: Mapping[str, str]

    @property
    def max_message_bytes(self) -> int:
        """The largest batch of messages that brokers take."""
        return int(self.settings.get("max.message.bytes", "1048588"))

    @property
    def is_compacted(self) -> bool:
        """Whether only the newest message of each key stays."""
        return "compact" in self.settings.get("cleanup.policy", "delete")


class Cluster:
    """Makes clients, and asks. Nothing is connected before it is asked something."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._admin: AdminClient | None = None
        self._heard = Heard()

    def topics(self, names: Sequence[str]) -> dict[str, Topic]:
        """Return those of the topics that are there."""
        there = {
            name: one for name, one in self._metadata().topics.items() if name in names and not one.error
        }
        if not there:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in there]
        with self.asking("describe topics of"):
            asked = self._client().describe_configs(resources, request_timeout=TIMEOUT)
            return {
                one.name: Topic(
                    one.name,
                    len(there[one.name].partitions),
                    {name: entry.value for name, entry in answer.result(TIMEOUT).items()},
                )
                for one, answer in asked.items()
            }

    def names(self) -> list[str]:
        """Return every topic's name."""
        return sorted(self._metadata().topics)

    def create(self, name: str, *, partitions: int, settings: Mapping[str, str]) -> None:
        """Make a topic, as often replicated as the brokers say; one that is there stays as it is."""
        with self.asking(f"create topic {name} of"):
            asked = self._client().create_topics(
                [NewTopic(name, partitions, -1, config=dict(settings))],
                operation_timeout=TIMEOUT,
                request_timeout=TIMEOUT,
            )
            try:
                asked[name].result(TIMEOUT)
            except KafkaException as error:
                if error.args[0].code() != TOPIC_IS_THERE:
                    raise

    def wait_for_topics(self, names: Sequence[str]) -> dict[str, Topic]:
        """Return topics that were made just now, once every broker that is asked knows them."""
        deadline = time.monotonic() + TIMEOUT
        while len(there := self.topics(names)) < len(set(names)):
            if time.monotonic() > deadline:
                absent = ", ".join(sorted(set(names) - set(there)))
                raise SinkUnavailable(
                    f"{self.address} made topics {absent}, but does not show them: try again"
                )
            time.sleep(_LOOK_SECONDS)
        return there

    def producer(self, *, message_bytes: int, batch_bytes: int) -> tuple[Producer, Heard]:
        """Return a producer of transactions, and what it hears; sizes are those that every topic takes."""
        heard = Heard()
        made = self._made(
            Producer,
            {
                "compression.type": "zstd",
                "linger.ms": "5",
                "batch.size": str(min(batch_bytes, _BATCH_BYTES)),
                "queue.buffering.max.kbytes": str(64 << 10),
                **self._settings(heard),
                "transactional.id": self.address.transactional_id,
                "transaction.timeout.ms": str(TRANSACTION_SECONDS * 1000),
                "message.max.bytes": str(message_bytes),
                "partitioner": "murmur2_random",  # as Java's clients have it
            },
        )
        return made, heard

    def ends(self, topic: str, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Return the first offset of each partition, and the one after the last that is committed."""
        with closing(self._consumer()) as consumer, self.asking(f"read topic {topic} of"):
            return {
                one: consumer.get_watermark_offsets(TopicPartition(topic, one), timeout=TIMEOUT, cached=False)
                for one in partitions
            }

    def settled_ends(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the same of one partition, once transactions that are being committed there have been.

        A commit is answered before its markers are written, and until they are, nobody reads its messages.
        One that stays open, as a writer's that died, is waited for a moment only.
        """
        deadline = time.monotonic() + _SETTLE_SECONDS
        place = TopicPartition(topic, partition)
        with closing(self._consumer(isolation="read_uncommitted")) as every:
            while True:
                first, end = self.ends(topic, [partition])[partition]
                with self.asking(f"read topic {topic} of"):
                    _, written = every.get_watermark_offsets(place, timeout=TIMEOUT, cached=False)
                if end >= written or time.monotonic() > deadline:
                    return first, end
                time.sleep(_SETTLE_SECONDS / 40)

    def messages(self, topic: str, spans: Mapping[int, tuple[int, int]]) -> Iterator[Message]:
        """Yield the committed messages of partitions from one offset up to, without, another."""
        left = {one: end for one, (first, end) in spans.items() if first < end}
        if not left:
            return
        with closing(self._consumer()) as consumer, self.asking(f"read topic {topic} of"):
            consumer.assign([TopicPartition(topic, one, spans[one][0]) for one in left])
            deadline = time.monotonic() + TIMEOUT
            while left:
                first = consumer.poll(_POLL_SECONDS)
                for message in [first, *consumer.consume(_CONSUMED_AT_ONCE, timeout=0)] if first else ():
                    deadline = time.monotonic() + TIMEOUT
                    one, offset = int(message.partition() or 0), int(message.offset() or 0)
                    if (error := message.error()) and error.code() != END_OF_PARTITION:
                        raise KafkaException(error)
                    if one in left and not error and offset < left[one]:
                        yield message
                    if one in left and offset + (0 if error else 1) >= left[one]:
                        del left[one]
                if time.monotonic() > deadline:
                    raise KafkaException(KafkaError(TIMED_OUT, "no message came"))

    def health(self) -> Health:
        """Say whether brokers answer, and which of our topics there are."""
        began = time.monotonic()
        found = self._metadata()
        latency = (time.monotonic() - began) * 1000
        ours = [name for name in found.topics if name.startswith(self.address.prefix)]
        coverage = self.topics([self.address.coverage]).get(self.address.coverage)
        if coverage and not coverage.is_compacted:
            return Health("broken", f"topic {coverage.name} is not compacted: set cleanup.policy=compact")
        brokers = f"{len(found.brokers)} broker{'' if len(found.brokers) == 1 else 's'}"
        there = (
            f"{len(ours)} topics {self.address.prefix}*" if ours else f"no topic {self.address.prefix}* yet"
        )
        return Health("ok", f"{brokers}, {there}", latency_ms=latency)

    @contextmanager
    def asking(self, doing: str) -> Iterator[None]:
        """Translate what goes wrong while something is done to the cluster."""
        try:
            with translated(str(self.address), self.address.transactional_id, doing, self._heard):
                yield
        except TimeoutError as error:
            raise SinkUnavailable(
                f"cannot {doing} {self.address} (no answer in {TIMEOUT:g} s): start the broker or check the"
                " address, then run the same again"
            ) from error

    def refusal(self, doing: str, error: Any, heard: Heard) -> Exception:
        """Return our error for one that a message was refused with."""
        return to_error(str(self.address), self.address.transactional_id, doing, error, heard)

    def close(self) -> None:
        """Let go of the connection."""
        self._admin = None

    def _metadata(self) -> Any:
        """Ask what there is; why nobody answers is heard between."""
        client, began = self._client(), time.monotonic()
        with self.asking("connect to"):
            while True:
                try:
                    found = client.list_topics(timeout=_ASK_SECONDS)
                    self._heard.forget()
                    return found
                except KafkaException:
                    client.poll(0)
                    patience = _DOWN_SECONDS if self._heard.all_are_down else CONNECT_SECONDS
                    if self._heard.is_final or time.monotonic() - began > patience:
                        raise

    def _client(self) -> AdminClient:
        if self._admin is None:
            self._admin = self._made(AdminClient, self._settings(self._heard))
        return self._admin

    def _consumer(self, *, isolation: str = "read_committed") -> Consumer:
        made: Consumer = self._made(
            Consumer,
            {
                "fetch.wait.max.ms": "20",
                "fetch.error.backoff.ms": "100",
                "queued.max.messages.kbytes": str(32 << 10),
                **self._settings(self._heard),
                "group.id": "stellarrow",  # never joined: partitions are assigned by hand
                "enable.auto.commit": "false",
                "enable.partition.eof": "true",
                "auto.offset.reset": "earliest",
                "isolation.level": isolation,
            },
        )
        return made

    def _made(self, kind: Callable[[Any], Any], settings: Mapping[str, Any]) -> Any:
        """Make a client; librdkafka reads files, and checks settings and their values, before it connects."""
        try:
            return kind(settings)
        except KafkaException as error:
            raise unusable(str(self.address), error) from error

    def _settings(self, heard: Callable[[KafkaError], None]) -> dict[str, Any]:
        return {
            "client.id": "stellarrow",
            "socket.keepalive.enable": "true",
            "reconnect.backoff.max.ms": "1000",
            **self.address.client,
            "bootstrap.servers": self.address.brokers,
            "error_cb": heard,
            "logger": _log,
        }
