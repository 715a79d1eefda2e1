"""Asks the plain consumer, and makes rows of what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa


class PlainConsumer:
    """The consumer's process."""

    def __init__(self, process: subprocess.Popen[bytes], brokers: str) -> None:
        self._process = process
        self._brokers = brokers

    def messages(self, topic: str, isolation: str = "read_committed") -> list[dict[str, Any]]:
        """Return every message of a topic, as a reader of committed messages sees them, or any.

        They come by partition and offset: between partitions a broker promises no order, and what arrives
        first differs from one reading to the next.
        """
        assert self._process.stdin
        assert self._process.stdout
        asked = {"brokers": self._brokers, "topic": topic, "isolation": isolation}
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        size = int(self._process.stdout.readline())
        found: list[dict[str, Any]] = (
            pa.ipc.open_stream(self._process.stdout.read(size)).read_all().to_pylist()
        )
        return sorted(found, key=lambda message: (message["partition"], message["offset"]))

    def rows(self, topic: str, isolation: str = "read_committed") -> list[dict[str, Any]]:
        """Return the rows of a topic of Arrow IPC streams."""
        return [
            row
            for message in self.messages(topic, isolation)
            for row in pa.ipc.open_stream(message["value"]).read_all().to_pylist()
        ]


@contextmanager
def plain_consumer(brokers: str) -> Iterator[PlainConsumer]:
    argv = [sys.executable, str(Path(__file__).with_name("plain_consumer.py"))]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield PlainConsumer(process, brokers)
        assert process.stdin
        process.stdin.close()
