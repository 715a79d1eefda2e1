"""A backfill's tasks on Apache Spark: each is a job of one task, in a Python worker of an executor."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final
from uuid import uuid4

import pyarrow as pa

from stellarrow.backfilling.work import Done, Task, TaskFailed, answered
from stellarrow.errors import ConfigError
from stellarrow.extras import needing

with needing("Spark", "spark"):
    from pyspark.errors import PythonException
    from pyspark.sql import SparkSession
    from pyspark.sql.utils import is_remote

_WAIT_SECONDS: Final = 0.5
_AHEAD: Final = 2  # tasks a processor that wait at the cluster, so that none is idle
_MOST_AHEAD: Final = 1_000  # each takes a thread here
_PAUSE_SECONDS: Final = 1.0  # before a job that was lost is begun again
_SILENCES: Final = 5  # in a row that Spark answers nothing at all: then it has ended

_log: Final = logging.getLogger(__name__)


class SparkEngine:
    """Runs each task as a job; one whose workers or executors are lost is begun again, for ever.

    It uses the session that there is. Without one it makes one, at an address or as Spark's own settings say,
    and ends it.
    """

    def __init__(self, workers: int | None, address: str | None) -> None:
        self._workers = workers
        self._address = address
        self._tag = f"stellarrow-{uuid4().hex[:12]}"
        self._ended = threading.Event()

    def run(self, tasks: Sequence[Task], stop: threading.Event) -> Iterator[tuple[Task, Done]]:
        """Yield tasks as they are done, in any order; TaskFailed at the first that cannot be.

        Once `stop` is set, what runs is cancelled: what it holds is not durable, and is missing next time.
        """
        found = SparkSession.getActiveSession()
        session = found or self._connected()
        try:
            yield from self._run(session, tasks, stop)
        finally:
            if found is None:
                session.stop()

    def _connected(self) -> Any:
        builder = SparkSession.builder.appName("stellarrow backfill")
        try:
            if self._address is None:
                return builder.getOrCreate()
            is_connect = self._address.startswith("sc://")
            return (builder.remote if is_connect else builder.master)(self._address).getOrCreate()
        except Exception as error:
            reason, where = str(error).partition("\n")[0], self._address or "of this machine"
            raise ConfigError(f"the Spark cluster {where} cannot be used ({reason})") from error

    def _run(self, session: Any, tasks: Sequence[Task], stop: threading.Event) -> Iterator[tuple[Task, Done]]:
        due, running = deque(tasks), dict[Future[Done | None], Task]()
        with ThreadPoolExecutor(self._most(), thread_name_prefix="stellarrow-backfill") as threads:
            try:
                while (due or running) and not stop.is_set():
                    while due and len(running) < self._slots(session):
                        task = due.popleft()
                        running[threads.submit(self._done, session, task)] = task
                    ended, _ = wait(running, timeout=_WAIT_SECONDS, return_when=FIRST_COMPLETED)
                    for future in ended:
                        task = running.pop(future)
                        if done := future.result():
                            yield task, done
            finally:
                self._ended.set()
                self._cancel(session, running)

    def _cancel(self, session: Any, running: dict[Future[Done | None], Task]) -> None:
        left = {future for future in running if not future.cancel()}
        while left:
            with suppress(Exception):  # of a Spark that has ended; then its jobs end, too
                session.interruptTag(self._tag)
            left = wait(left, timeout=_WAIT_SECONDS).not_done

    def _most(self) -> int:
        return self._workers or _MOST_AHEAD

    def _slots(self, session: Any) -> int:
        """Return how many tasks may be at the cluster, which may have grown."""
        if self._workers:
            return self._workers
        if is_remote():
            raise ConfigError("Spark Connect does not tell how many processors there are: give workers")
        return min(_MOST_AHEAD, _AHEAD * int(session.sparkContext.defaultParallelism))

    def _done(self, session: Any, task: Task) -> Done | None:
        session.addTag(self._tag)
        silences = 0
        while not self._ended.is_set():
            try:
                answer = _collected(session, _answering(task))
            except PythonException as error:
                raise TaskFailed(f"ledgers {task.ledgers}: {_reason(error)}") from error
            except Exception as error:
                if self._ended.wait(_PAUSE_SECONDS):
                    return None
                silences = 0 if _is_there(session) else silences + 1
                if silences == _SILENCES:
                    raise TaskFailed(f"Spark has ended ({_reason(error)}): start again") from error
                _log.warning("ledgers %s were lost (%s): beginning again", task.ledgers, _reason(error))
                continue
            if isinstance(answer, str):
                raise TaskFailed(f"ledgers {task.ledgers}: {answer}")
            return Done(**answer)
        return None


def _answering(task: Task) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return what does the task in a worker, and yields one row: what came of it, as JSON."""

    def answer(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            pass
        done = answered(task)
        text = json.dumps(done if isinstance(done, str) else asdict(done))
        yield pa.RecordBatch.from_pydict({"answer": [text]})

    return answer


def _collected(session: Any, answer: Callable[..., Any]) -> Any:
    rows = session.range(0, 1, 1, 1).mapInArrow(answer, "answer string").collect()
    return json.loads(rows[0]["answer"])


def _is_there(session: Any) -> bool:
    """Tell whether Spark itself still answers."""
    try:
        return bool(session.sql("select 1").collect())
    except Exception:
        return False


def _reason(error: Exception) -> str:
    """Return the last line that says something: Spark wraps what a worker said in traces."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if "Error" in line or "Exception" in line] or lines
    return said[-1][:500] if said else type(error).__name__
