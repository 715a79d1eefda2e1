"""A backfill's tasks in processes of this machine."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from typing import Final

from stellarrow.backfilling.work import Done, Task, TaskFailed
from stellarrow.backfilling.worker import FAILED

_LOSSES: Final = 100  # of one task in a row: then it is the task that ends its worker
_END_SECONDS: Final = 9.0  # that a worker has to make durable what it holds
_log: Final = logging.getLogger(__name__)


class LocalEngine:
    """Runs each task in a process of its own; a process that is killed is begun again."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = threading.Event()

    def run(self, tasks: Sequence[Task], stop: threading.Event) -> Iterator[tuple[Task, Done]]:
        """Yield tasks as they are done, in any order; TaskFailed at the first that cannot be."""
        due = deque(tasks)
        running: dict[Future[Done | None], Task] = {}
        with ThreadPoolExecutor(self._workers, thread_name_prefix="stellarrow-backfill") as threads:
            try:
                while (due and not stop.is_set()) or running:
                    while due and len(running) < self._workers and not stop.is_set():
                        task = due.popleft()
                        running[threads.submit(self._done, task)] = task
                    if stop.is_set():
                        self._end()
                    ended, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                    for future in ended:
                        task = running.pop(future)
                        if done := future.result():
                            yield task, done
            finally:
                self._end()

    def _done(self, task: Task) -> Done | None:
        for _ in range(_LOSSES):
            code, answer = self._tried(task)
            if code == 0:
                return Done(**json.loads(answer))
            if code == FAILED:
                told = json.loads(answer)
                raise TaskFailed(f"ledgers {task.ledgers}: {told['message']}")
            if self._stopped.is_set():
                return None
            _log.warning("a worker ended with %s at ledgers %s: beginning again", code, task.ledgers)
        raise TaskFailed(
            f"ledgers {task.ledgers}: {_LOSSES} workers in a row ended before they were done: see whether"
            " memory lasts, take fewer workers, or run extract for these ledgers and see what it says"
        )

    def _tried(self, task: Task) -> tuple[int, str]:
        argv = [sys.executable, "-m", "stellarrow.backfilling.worker"]
        with self._lock:
            if self._stopped.is_set():
                return -1, ""
            process = subprocess.Popen(  # noqa: S603  this Python
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            self._running.add(process)
        try:
            answer, _ = process.communicate(json.dumps(asdict(task)))
        finally:
            with self._lock:
                self._running.discard(process)
        return process.returncode, answer

    def _end(self) -> None:
        """Let every worker make durable what it holds, and end."""
        if self._stopped.is_set():
            return
        with self._lock:
            self._stopped.set()
            running = list(self._running)
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
