"""NATS JetStream: every table a subject of one stream, every ledger once."""

from stellarrow.extras import needing

with needing("NATS", "nats"):
    from stellarrow.sinks.nats.sink import NatsSink

__all__ = ["NatsSink"]
