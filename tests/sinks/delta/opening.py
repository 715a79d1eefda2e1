"""What opens a Delta sink in a process that is to die: little to import, so that it soon writes."""

from __future__ import annotations

from typing import Any

from stellarrow.core.options import DecodeOptions
from stellarrow.ledgers import Network
from stellarrow.registry import SinkOptions


def options(**choices: Any) -> SinkOptions:
    network = Network.of(choices.pop("network", "synthetic"))
    return SinkOptions.of(DecodeOptions(network=network, **choices))
