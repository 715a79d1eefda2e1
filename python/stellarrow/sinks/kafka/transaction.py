"""Transactions: messages of several topics that readers see all at once, or never."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stellarrow.sinks.kafka.cluster import TIMEOUT, Cluster
from stellarrow.sinks.kafka.failures import FATAL, TIMED_OUT, kafka_error
from stellarrow.sinks.transactional.ledger_messages import Headers

_ABORT_SECONDS: Final = 5.0  # a transaction that is not aborted is by whoever takes over
_COMMIT_SECONDS: Final = 15.0
_STILL_SECONDS: Final = 15.0  # in which brokers take no message at all
_QUEUE_SECONDS: Final = 0.1  # to wait for room where too much is on its way
Tag = tuple[str, int] | None  # of messages whose offsets are told together


class Writer:
    """The one writer that may commit, until another takes over.

    After anything went wrong it is of no use: librdkafka cannot tell whether a commit that took too long came
    through (KIP-890). Who takes over learns it, as nothing is under way then.
    """

    def __init__(self, cluster: Cluster, *, message_bytes: int, batch_bytes: int) -> None:
        """Take over: what another writer has not committed is aborted, and it can commit no more."""
        self._cluster = cluster
        self._producer: Producer | None
        made = cluster.producer(message_bytes=message_bytes, batch_bytes=batch_bytes)
        self._producer, self._heard = made
        self._refused: list[Any] = []
        self._sent: dict[Tag, dict[int, tuple[int, int]]] = {}
        try:
            with self._doing("begin to write to"):
                self._producer.init_transactions(TIMEOUT)
        except BaseException:
            self.drop()
            raise

    def begin(self) -> None:
        """Begin a transaction."""
        self._sent = {}
        with self._doing("write to"):
            self._working.begin_transaction()

    def send(self, topic: str, key: bytes, value: bytes, headers: Headers, tag: Tag = None) -> None:
        """Hand a message over; `sent` tells where those of its tag came to lie."""
        producer, told = self._working, partial(self._delivered, tag)
        try:
            while True:
                try:
                    producer.produce(topic, value, key=key, headers=headers, on_delivery=told)
                    break
                except BufferError:  # too much is on its way
                    producer.poll(_QUEUE_SECONDS)
                    self._check()
            producer.poll(0)
        except (KafkaException, SystemError) as error:
            raise self._refusal("write to", kafka_error(error)) from error
        self._check()

    def sent(self) -> dict[Tag, dict[int, tuple[int, int]]]:
        """Wait until all messages lie in their topics, and return between which offsets those of a tag do."""
        waiting = len(self._working)
        while waiting:
            with self._doing("write to"):
                left = self._working.flush(_STILL_SECONDS)
            self._check()
            if left >= waiting:
                raise self._refusal("write to", KafkaError(TIMED_OUT, "messages were not taken in time"))
            waiting = left
        return self._sent

    def commit(self) -> None:
        """Return once readers can see all of it; who takes over after an error learns whether they can.

        Waiting without end is no choice: an answer that was lost is never asked for again (librdkafka#5423).
        """
        with self._doing("commit to"):
            self._working.commit_transaction(_COMMIT_SECONDS)

    def drop(self) -> None:
        """Let go; what was not committed is aborted, at once where brokers answer."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        for leave in (producer.purge, partial(producer.abort_transaction, _ABORT_SECONDS)):
            with suppress(KafkaException, SystemError):
                leave()

    @property
    def _working(self) -> Producer:
        if self._producer is None:
            raise RuntimeError("the writer was dropped")
        return self._producer

    def _delivered(self, tag: Tag, error: Any, message: Message) -> None:
        if error:
            self._refused.append(error)
            return
        partition, offset = int(message.partition() or 0), int(message.offset() or 0)
        spans = self._sent.setdefault(tag, {})
        first, end = spans.get(partition, (offset, offset))
        spans[partition] = (min(first, offset), max(end, offset + 1))

    def _check(self) -> None:
        """Raise what a message was refused with."""
        if self._refused:
            raise self._refusal("write to", self._refused[0])

    @contextmanager
    def _doing(self, doing: str) -> Iterator[None]:
        """Translate what librdkafka or a broker refuses."""
        try:
            yield
        except (KafkaException, SystemError) as error:
            raise self._refusal(doing, kafka_error(error)) from error

    def _refusal(self, doing: str, error: Any) -> Exception:
        if error.code() == FATAL:
            error = self._fatal_error() or error
        return self._cluster.refusal(doing, error, self._heard)

    def _fatal_error(self) -> Any:
        """Return what ended the producer, which every call on its transaction says."""
        try:
            self._working.abort_transaction(0)
        except (KafkaException, SystemError) as error:
            return kafka_error(error)
        return None
