"""Services of one process that show how they are at one address."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from stellarrow.telemetry.health import Check, Component


@dataclass(frozen=True, slots=True)
class Beside:
    """A service that another one's HTTP server speaks for: its parts, whether it is ready, its metrics."""

    name: str
    components: Sequence[Component]
    ready: threading.Event
    metrics: Callable[[], bytes]

    def checks(self) -> Iterable[Check]:
        """Say how its parts are, by names of its own."""
        for component in self.components:
            check = component.check()
            yield replace(check, name=f"{self.name}: {check.name}")


def merged(own: bytes, others: Mapping[str, bytes]) -> bytes:
    """Return Prometheus text of several services: a family once, others' samples labelled `service`."""
    headers: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for service, text in {"": own, **others}.items():
        family, is_new = "", False
        for line in text.decode().splitlines():
            if line.startswith("# HELP "):
                family = line.split(" ", 3)[2]
                is_new = family not in headers
            if line.startswith("#"):
                if is_new:
                    headers.setdefault(family, []).append(line)
            elif line:
                samples.setdefault(family, []).append(_labelled(line, service))
    lines = [line for family, head in headers.items() for line in (*head, *samples.get(family, ()))]
    return "".join(f"{line}\n" for line in lines).encode()


def _labelled(sample: str, service: str) -> str:
    if not service:
        return sample
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f'{name}{{service="{service}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{service="{service}"}} {value}'
