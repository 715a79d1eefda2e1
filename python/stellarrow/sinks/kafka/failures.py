"""What brokers refuse, as our own errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from stellarrow.errors import ConfigError, LedgersRefused, SchemaMismatch, SinkError, SinkUnavailable
from stellarrow.sinks.transactional.message_sink import Overtaken

TIMED_OUT: Final = KafkaError._TIMED_OUT
FATAL: Final = KafkaError._FATAL  # says only that something said what went wrong before
END_OF_PARTITION: Final = KafkaError._PARTITION_EOF
TOPIC_IS_THERE: Final = KafkaError.TOPIC_ALREADY_EXISTS
# Another writer of the same topics has begun a transaction since we did.
FENCED: Final = frozenset(
    (
        KafkaError._FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
    )
)
_AWAY: Final = "start the broker or check the address, then run the same again"
_GRANT: Final = "let this user write, read and describe the topics, and use the transactional id {id}"
_REMEDIES: Final = {
    KafkaError._AUTHENTICATION: "set the right user, password and sasl mechanism",
    KafkaError.SASL_AUTHENTICATION_FAILED: "set the right user, password and sasl mechanism",
    KafkaError.UNSUPPORTED_SASL_MECHANISM: "choose a mechanism that the broker offers, as in sasl=PLAIN",
    KafkaError._SSL: "give the right CA in ca=FILE, or connect without tls where the broker has none",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: _GRANT,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: _GRANT,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "let this user create topics, or create them beforehand",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "let this user read with consumer groups named stellarrow",
    KafkaError.INVALID_REPLICATION_FACTOR: "start more brokers, or lower default.replication.factor",
    KafkaError.POLICY_VIOLATION: "create the topics beforehand as the cluster's policy asks",
    KafkaError.UNSUPPORTED_VERSION: "use Kafka 2.5 or newer",
    KafkaError.INVALID_TRANSACTION_TIMEOUT: "raise transaction.max.timeout.ms of the brokers to 60000",
    KafkaError.UNSUPPORTED_COMPRESSION_TYPE: "set another compression.type in a settings file",
}
_LAYOUT: Final = frozenset((KafkaError.TOPIC_EXCEPTION,))
_SIZE: Final = frozenset((KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE))
_PASSING: Final = frozenset(
    (
        *(
            FATAL,
            KafkaError.UNKNOWN,  # what a broker answers to a commit beside one that takes over
            KafkaError._TRANSPORT,
            KafkaError._TIMED_OUT,
            KafkaError._ALL_BROKERS_DOWN,
            KafkaError._RESOLVE,
        ),
        *(KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT_QUEUE, KafkaError._STATE, KafkaError._PURGE_QUEUE),
        *(KafkaError._PURGE_INFLIGHT, KafkaError._RETRY, KafkaError._QUEUE_FULL, KafkaError._INCONSISTENT),
        *(KafkaError._DESTROY_BROKER, KafkaError._WAIT_COORD, KafkaError._WAIT_CACHE, KafkaError._FAIL),
        *(KafkaError._UNKNOWN_BROKER, KafkaError._NODE_UPDATE, KafkaError._INTR, KafkaError._OUTDATED),
        *(KafkaError.REQUEST_TIMED_OUT, KafkaError.NOT_ENOUGH_REPLICAS, KafkaError.BROKER_NOT_AVAILABLE),
        *(KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND, KafkaError.LEADER_NOT_AVAILABLE),
        *(KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.COORDINATOR_NOT_AVAILABLE),
        *(KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.NOT_COORDINATOR, KafkaError.NETWORK_EXCEPTION),
        *(KafkaError.CONCURRENT_TRANSACTIONS, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC),
        *(KafkaError._UNKNOWN_PARTITION, KafkaError.OFFSET_NOT_AVAILABLE, KafkaError.REPLICA_NOT_AVAILABLE),
        *(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, KafkaError.UNKNOWN_PRODUCER_ID),
        *(KafkaError.TRANSACTION_COORDINATOR_FENCED, KafkaError.KAFKA_STORAGE_ERROR),
        *(KafkaError.INVALID_TXN_STATE, KafkaError.THROTTLING_QUOTA_EXCEEDED),
    )
)


class Heard:
    """What a client heard from its brokers: why it waits, when a call runs out of time."""

    def __init__(self) -> None:
        self.last: KafkaError | None = None
        self.all_are_down = False

    @property
    def is_final(self) -> bool:
        """Whether waiting longer is of no use."""
        return self.last is not None and self.last.code() in _REMEDIES

    def forget(self) -> None:
        """Forget what was wrong: it works again."""
        self.last, self.all_are_down = None, False

    def __call__(self, error: KafkaError) -> None:
        """Remember; that all brokers are down says less than what was heard of one."""
        self.all_are_down |= error.code() == KafkaError._ALL_BROKERS_DOWN
        if self.last is None or error.code() != KafkaError._ALL_BROKERS_DOWN:
            self.last = error


@contextmanager
def translated(name: str, transactional_id: str, doing: str, heard: Heard | None = None) -> Iterator[None]:
    """Translate what a broker or librdkafka refuses."""
    try:
        yield
    except (KafkaException, SystemError) as error:
        raise to_error(name, transactional_id, doing, kafka_error(error), heard) from error


def unusable(name: str, error: KafkaException) -> ConfigError:
    """Return our error for settings of which librdkafka makes no client."""
    told = re.sub(r"^(Failed to create \w+( client)?: )+", "", _reason(error.args[0]))
    return ConfigError(
        f"there is no Kafka client for {name} ({told}): fix the URL, or a file or variable it uses"
    )


def kafka_error(error: BaseException) -> Any:
    """Return what an exception is about; where a callback stood between, its cause, or that it was fatal."""
    cause = error.__cause__ if isinstance(error, SystemError) else error
    return cause.args[0] if isinstance(cause, KafkaException) else KafkaError(FATAL)


def to_error(
    name: str, transactional_id: str, doing: str, error: Any, heard: Heard | None = None
) -> SinkError | Overtaken:
    """Return our error for one of Kafka's."""
    if not isinstance(error, KafkaError):
        return SinkError(f"cannot {doing} {name} ({error}): fix that, then run the same again")
    code = error.code()
    if code in FENCED:
        return Overtaken()
    if code in (KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
        error = (heard and heard.last) or error
        code = error.code()
    said = f"cannot {doing} {name} ({_reason(error)})"
    if code in _SIZE:
        return LedgersRefused(f"{said}: raise max.message.bytes of the topic, and of the brokers")
    if code in _LAYOUT:
        return SchemaMismatch(f"{said}: choose another topic_prefix")
    if remedy := _REMEDIES.get(code):
        return SinkError(f"{said}: {remedy.format(id=transactional_id)}, then run the same again")
    if code in _PASSING or error.retriable():
        return SinkUnavailable(f"{said}: {_AWAY}")
    return SinkError(f"{said}: fix that, then run the same again")


def _reason(error: KafkaError) -> str:
    """Return what happened, without the names of librdkafka's threads and its advice to programmers."""
    text = " ".join(str(error.str()).split()) or error.name()
    for noise in ("sasl_plaintext://", "sasl_ssl://", "plaintext://", "ssl://"):
        text = text.replace(noise, "")
    return text.partition(" (after ")[0].rstrip(":. ")[:300]
