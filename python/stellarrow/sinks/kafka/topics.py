"""The topics of a sink: made where they are not there, and refused where rows would be lost in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stellarrow.errors import SchemaMismatch
from stellarrow.sinks.kafka.cluster import Cluster, Topic

# Rows stay until somebody says otherwise: what is covered is not written again.
_ROWS: Final = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "max.message.bytes": str(8 << 20),
}
# Small segments: what was replaced in one that is full can be removed.
_COVERAGE: Final = {
    "cleanup.policy": "compact",
    "segment.ms": str(3_600_000),
    "segment.bytes": str(16 << 20),
    "min.cleanable.dirty.ratio": "0.1",
}


def made_topics(cluster: Cluster, tables: Sequence[str]) -> dict[str, Topic]:
    """Return the topics of tables, by table, made where they are not there; that of coverage comes first."""
    address = cluster.address
    names = {table: address.topic(table) for table in tables}
    wanted = [address.coverage, *names.values()]
    there = cluster.topics(wanted)
    if address.coverage not in there:
        _refuse_uncovered(cluster, [one for one in there.values() if one.name != address.coverage])
    for name in wanted:
        if name not in there:
            is_coverage = name == address.coverage
            partitions = 1 if is_coverage else address.partitions
            cluster.create(name, partitions=partitions, settings=_COVERAGE if is_coverage else _ROWS)
    if len(there) < len(wanted):
        there = cluster.wait_for_topics(wanted)
    for name in names.values():
        if there[name].is_compacted:
            raise SchemaMismatch(
                f"topic {name} is compacted, which removes rows of the same key: set cleanup.policy=delete,"
                " or choose another topic_prefix"
            )
    return {table: there[name] for table, name in names.items()}


def _refuse_uncovered(cluster: Cluster, there: Sequence[Topic]) -> None:
    """Refuse topics that hold messages nothing tells the ledgers of: they would be written twice."""
    for one in there:
        ends = cluster.ends(one.name, range(one.partitions))
        if any(first < end for first, end in ends.values()):
            raise SchemaMismatch(
                f"topic {one.name} holds messages, but {cluster.address.coverage}, which tells their ledgers,"
                " is not there: delete the topic, or choose another topic_prefix"
            )
