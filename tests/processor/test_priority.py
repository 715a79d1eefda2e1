"""Work in bulk gives way to answers."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from stellarrow.processor.thread_priority import lower_priority


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows a thread's niceness")
def test_a_thread_that_gives_way_is_nicer_than_the_others() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = niceness()
    found: list[int] = []

    def work() -> None:
        lower_priority()
        lower_priority()
        found.append(niceness())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [max(before, 10)]
    assert niceness() == before
