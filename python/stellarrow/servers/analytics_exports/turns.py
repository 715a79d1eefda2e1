"""Whose export is written next: callers take turns, each with its oldest first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from stellarrow.servers.analytics_exports.job import Job

_REMEMBERED: Final = 1_000  # callers; who was served longer ago counts as not served yet


class Turns:
    """Remembers who was served, and when: whoever waits longest for a turn has the next one."""

    def __init__(self) -> None:
        self._served: OrderedDict[str, int] = OrderedDict()
        self._count = 0

    def next(self, waiting: Sequence[Job]) -> Job:
        """Return the export whose turn it is, of some."""
        job = min(waiting, key=lambda one: (self._served.get(one.owner, 0), one.created_at, one.id))
        self._count += 1
        self._served[job.owner] = self._count
        self._served.move_to_end(job.owner)
        if len(self._served) > _REMEMBERED:
            self._served.popitem(last=False)
        return job
