"""Work in order on a thread of its own, so that tables are written side by side."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class Worker:
    """A queue and the thread that works it off; after a failure it does nothing more."""

    def __init__(self, name: str, *, waiting: int) -> None:
        """Let `waiting` pieces of work wait while one is done; any number where it is 0."""
        self._name = name
        self._queue: queue.Queue[Callable[[], object] | None] = queue.Queue(waiting)
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._stopped = False

    def do(self, work: Callable[[], object]) -> None:
        """Hand work over; wait where enough is waiting. Raise what work before it raised."""
        self.check()
        if self._thread is None:
            self._thread = threading.Thread(target=self._labour, name=self._name, daemon=True)
            self._thread.start()
        self._queue.put(work)

    def wait(self) -> None:
        """Return when everything handed over is done; raise what it raised."""
        self._queue.join()
        self.check()

    def check(self) -> None:
        """Raise what work raised."""
        if self._error is not None:
            raise self._error

    def stop(self, *, patience: float = 0.0) -> None:
        """End the thread; what is not begun within `patience` seconds is dropped, what is begun is done."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(max(0.0, patience))
            self._stopped = True
            self._thread.join()
            self._thread = None

    def stopped(self) -> bool:
        """Whether work that takes long had better end."""
        return self._stopped

    def _labour(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                if self._error is None and not self._stopped:
                    work()
            except BaseException as error:
                self._error = error
            del work  # it holds rows
            self._queue.task_done()
        self._queue.task_done()
