"""What dashboards and alerts ask of a service beside its work: version, health, memory, disk, certificate."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from stellarrow.telemetry.health import Check

_CGROUP_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_DEAD_LETTERS: Final = "dead-letters"
_COUNT_SECONDS: Final = 15.0  # a folder of many dead letters is not listed at every scrape


class Machine(Collector):
    """A service's state as gauges, found out when it is asked for; `text` is Prometheus text of them.

    `checks` are the components of /health. `expires_at` returns when the certificate does, in unix seconds.
    """

    def __init__(
        self,
        version: str,
        checks: Callable[[], Iterable[Check]],
        *,
        state_dir: Path | None = None,
        expires_at: Callable[[], float | None] | None = None,
    ) -> None:
        self._version = version
        self._checks = checks
        self._state_dir = state_dir
        self._expires_at = expires_at
        self._letters = 0
        self._counted_at = -_COUNT_SECONDS
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        return ()  # or registering would ask every component how it is

    def collect(self) -> Iterator[Metric]:
        """Yield each family; what cannot be found out just now is left out."""
        yield InfoMetricFamily("stellarrow_build", "What runs.", value={"version": self._version})
        healthy = GaugeMetricFamily("component_healthy", "1 where a part is well.", labels=["name"])
        for check in self._checks():
            healthy.add_metric([check.name], float(check.healthy))
        yield healthy
        if limit := memory_limit():
            yield GaugeMetricFamily("memory_limit_bytes", "Memory this process may have.", value=limit)
        if self._state_dir:
            yield from self._disk(self._state_dir)
        if self._expires_at and (moment := self._expires_at()):
            yield GaugeMetricFamily(
                "tls_certificate_expires_timestamp_seconds", "When the certificate ends.", value=moment
            )

    def _disk(self, folder: Path) -> Iterator[Metric]:
        with suppress(OSError):
            state = os.statvfs(folder)
            size, free = state.f_blocks * state.f_frsize, state.f_bavail * state.f_frsize
            yield GaugeMetricFamily("state_disk_size_bytes", "The disk with the state folder.", value=size)
            yield GaugeMetricFamily("state_disk_free_bytes", "What is free of it.", value=free)
        if time.monotonic() - self._counted_at >= _COUNT_SECONDS:
            with suppress(OSError):
                self._letters = sum(name.endswith(".json") for name in _names(folder / _DEAD_LETTERS))
            self._counted_at = time.monotonic()
        yield GaugeMetricFamily("dead_letters", "Ledgers in quarantine.", value=self._letters)


def memory_limit() -> int | None:
    """Return the bytes that a control group or the machine lets this process have."""
    limits = []
    for path in _CGROUP_LIMITS:
        with suppress(OSError, ValueError):
            limits.append(int(Path(path).read_text()))
    with suppress(OSError, ValueError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits, default=None)


def _names(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []
