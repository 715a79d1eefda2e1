"""Fixtures of the tests of the Kafka sink."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fakes.kafka import Broker
from sinks.kafka.reader import PlainConsumer, plain_consumer


@pytest.fixture(scope="session")
def consumer(kafka: Broker) -> Iterator[PlainConsumer]:
    """A reader that is not ours."""
    with plain_consumer(kafka.address) as found:
        yield found
