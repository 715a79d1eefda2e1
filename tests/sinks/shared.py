"""What a sink must do that several writers share and that may die; its test inherits it."""

from __future__ import annotations

import random
import signal
import subprocess
from typing import Any

import pytest

from sinks import crash
from sinks.killing import run_in_processes
from sinks.lasting import LastingContract

Ranges = tuple[tuple[int, int], ...]


class SharedSinkContract(LastingContract):
    """Two writers at once, and writers killed at each step, leave each row once."""

    longest = 0.25  # seconds within which a writer is killed
    stride = 1  # of the steps before which it is killed
    span = 3  # ledgers of a commit, where two processes bring the same 39

    def move(self, name: str) -> None:
        """Let what follows go to another place, empty so far."""
        raise NotImplementedError

    def opening(self) -> str:
        """Return Python source that opens the place as `sink`, for another process.

        It calls `step()`, which it finds there, before each operation that leaves a trace.
        """
        raise NotImplementedError

    def in_another_process(self, forks: subprocess.Popen[str], ranges: Ranges, **job: Any) -> int:
        """Write and commit ranges elsewhere; return the worst exit code, or minus the signal."""
        asked = {"openings": [self.opening()], "tables": self.tables, "ranges": ranges, **job}
        return max(run_in_processes(forks, **asked).codes, key=abs)

    def test_two_writers_of_one_range_leave_its_rows_once(self) -> None:
        one, other = self.open(), self.open()
        for sink in (one, other):
            sink.write(self.batch(100, 114))
        for sink in (one, other):
            sink.commit()
            sink.close()
        self.assert_holds("100:114")

    def test_two_writers_whose_ranges_overlap_leave_each_row_once(self) -> None:
        one, other = self.open(), self.open()
        one.write(self.batch(102, 107))
        other.write(self.batch(100, 104))
        one.commit()
        other.write(self.batch(105, 116))
        other.commit()
        one.write(self.batch(108, 111))
        one.commit()
        one.close()
        other.close()
        self.assert_holds("100:116")

    def test_two_processes_at_once_leave_each_row_once(self, forks: subprocess.Popen[str]) -> None:
        ranges = tuple((ledger, ledger + self.span - 1) for ledger in range(100, 139, self.span))
        openings = [self.opening()] * 2
        assert self.in_another_process(forks, ranges, openings=openings, commit_each=True) == 0
        self.assert_holds("100:138")

    @pytest.mark.parametrize("commit_each", [False, True])
    def test_killed_before_any_step_it_resumes(
        self, forks: subprocess.Popen[str], *, commit_each: bool
    ) -> None:
        self.kill_before_steps(forks, self.stride, commit_each=commit_each)

    @pytest.mark.slow
    @pytest.mark.parametrize("each", [False, True])
    def test_killed_before_every_single_step_it_resumes(
        self, forks: subprocess.Popen[str], *, each: bool
    ) -> None:
        if self.stride == 1:
            pytest.skip("another test tries each step")
        self.kill_before_steps(forks, 1, commit_each=each)

    def kill_before_steps(self, forks: subprocess.Popen[str], stride: int, *, commit_each: bool) -> None:
        ranges = ((103, 108), (109, 109), (110, 121))
        for step in range(1, 200, stride):
            self.move(f"step-{step}")
            code = self.in_another_process(forks, ranges, step=step, commit_each=commit_each)
            if code == 0:
                break
            assert code == crash.DIED
            self.assert_holds_what_it_covers()
            self.keep(*ranges)
            self.assert_holds("103:121")
        else:
            pytest.fail("200 steps were not enough")
        assert step > 3 * stride  # or nothing was tried

    def test_killed_at_any_moment_it_resumes(self, forks: subprocess.Popen[str]) -> None:
        self.kill_and_resume(forks, 4)

    @pytest.mark.slow
    def test_killed_at_fifty_moments_it_resumes(self, forks: subprocess.Popen[str]) -> None:
        self.kill_and_resume(forks, 50)

    def kill_and_resume(self, forks: subprocess.Popen[str], times: int) -> None:
        ranges = tuple((ledger, ledger) for ledger in range(100, 140))
        dice = random.Random(times)  # noqa: S311
        for at in range(times):
            self.move(f"kill-{at}")
            seconds = dice.uniform(0, self.longest)
            code = self.in_another_process(forks, ranges, seconds=seconds, commit_each=bool(at % 2))
            assert code in (0, -signal.SIGKILL)
            self.assert_holds_what_it_covers()
            self.keep(*ranges)
            self.assert_holds("100:139")
