"""A backfill's tasks on a Ray cluster."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

from stellarrow.backfilling.work import Done, Task, TaskFailed, answered
from stellarrow.errors import ConfigError
from stellarrow.extras import needing

with needing("Ray", "ray"):
    import ray

_WAIT_SECONDS: Final = 0.5
_AHEAD: Final = 2  # tasks a processor that wait at the cluster, so that none is idle


class RayEngine:
    """Runs each task on one processor of a cluster; Ray runs it again, for ever, where a worker is lost.

    Without an address it starts a cluster on this machine, and ends it.
    """

    def __init__(self, workers: int | None, address: str | None) -> None:
        self._workers = workers
        self._address = address

    def run(self, tasks: Sequence[Task], stop: threading.Event) -> Iterator[tuple[Task, Done]]:
        """Yield tasks as they are done, in any order; TaskFailed at the first that cannot be.

        Once `stop` is set, what runs is cancelled: what it holds is not durable, and is missing next time.
        """
        starts = not ray.is_initialized()
        if starts:
            self._connect()
        try:
            yield from self._run(tasks, stop)
        finally:
            if starts:
                ray.shutdown()

    def _connect(self) -> None:
        own = {"num_cpus": self._workers, "include_dashboard": False} if self._address is None else {}
        try:
            ray.init(address=self._address, log_to_driver=False, **own)
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason, where = str(error).partition("\n")[0], self._address or "of this machine"
            raise ConfigError(
                f"the Ray cluster {where} cannot be used ({reason}): see `ray status`"
            ) from error

    def _run(self, tasks: Sequence[Task], stop: threading.Event) -> Iterator[tuple[Task, Done]]:
        remote = ray.remote(max_retries=-1, num_cpus=1)(answered)
        slots = self._workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        due, running = deque(tasks), dict[Any, Task]()
        while (due or running) and not stop.is_set():
            limit = self._workers or slots * _AHEAD
            while due and len(running) < limit:
                task = due.popleft()
                running[remote.remote(task)] = task
            ended, _ = ray.wait(list(running), timeout=_WAIT_SECONDS)
            for one in ended:
                task, answer = running.pop(one), ray.get(one)
                if isinstance(answer, str):
                    self._cancel(running)
                    raise TaskFailed(f"ledgers {task.ledgers}: {answer}")
                yield task, answer
        self._cancel(running)

    def _cancel(self, running: dict[Any, Task]) -> None:
        for one in running:
            ray.cancel(one, force=True)
