"""A consumer that knows nothing of stellarrow: what any reader of the topics sees, in a process of its own.

Reads a JSON object a line, brokers, topic and isolation level, and answers with a line: how many bytes
follow; they are an Arrow IPC stream with a row a message: partition, offset, key, value, headers.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from typing import Any

import pyarrow as pa
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

_SETTLE_SECONDS = 5.0
_PATIENCE_SECONDS = 60.0
SCHEMA = pa.schema(
    [
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("headers", pa.map_(pa.string(), pa.binary())),
    ]
)


def consumer_of(brokers: str, isolation: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "anybody",
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 10,
        }
    )


def settle(brokers: str, consumer: Consumer, places: list[TopicPartition]) -> None:
    """Wait until what was committed can be read: a broker answers a commit before it marks each partition.

    A transaction that nobody ends is waited for no longer than a moment.
    """
    deadline = time.monotonic() + _SETTLE_SECONDS
    with closing(consumer_of(brokers, "read_uncommitted")) as every:
        for place in places:
            while True:
                _, committed = consumer.get_watermark_offsets(place, timeout=30, cached=False)
                _, written = every.get_watermark_offsets(place, timeout=30, cached=False)
                if committed >= written or time.monotonic() > deadline:
                    break
                time.sleep(0.02)


def messages(brokers: str, topic: str, isolation: str) -> list[dict[str, Any]]:
    """Read a topic, from its beginning again while its broker is starting."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return messages_at_once(brokers, topic, isolation)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def messages_at_once(brokers: str, topic: str, isolation: str) -> list[dict[str, Any]]:
    consumer = consumer_of(brokers, isolation)
    found = []
    try:
        known = consumer.list_topics(topic, timeout=30).topics[topic]
        if known.error and known.error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise KafkaException(known.error)
        left = set() if known.error else set(known.partitions)
        if left:
            places = [TopicPartition(topic, partition, 0) for partition in left]
            if isolation == "read_committed":
                settle(brokers, consumer, places)
            consumer.assign(places)
        while left:
            message = consumer.poll(60)
            if message is None:
                raise TimeoutError(f"{topic} does not end")
            if error := message.error():
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                left.discard(message.partition())
                continue
            found.append(
                {
                    "partition": message.partition(),
                    "offset": message.offset(),
                    "key": message.key(),
                    "value": message.value(),
                    "headers": message.headers() or [],
                }
            )
    finally:
        consumer.close()
    return found


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        table = pa.Table.from_pylist(messages(**asked), SCHEMA)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, SCHEMA) as stream:
            stream.write_table(table)
        answer = sink.getvalue().to_pybytes()
        sys.stdout.buffer.write(b"%d\n" % len(answer))
        sys.stdout.buffer.write(answer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
