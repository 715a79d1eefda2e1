"""Kafka: every table a topic, every ledger once for who reads committed messages."""

from stellarrow.extras import needing

with needing("Kafka", "kafka"):
    from stellarrow.sinks.kafka.sink import KafkaSink

__all__ = ["KafkaSink"]
