from __future__ import annotations

import subprocess

import pytest

from sinks.delta.made import DeltaContract


class TestDeltaSink(DeltaContract):
    """Delta tables in a folder."""

    @pytest.mark.slow
    @pytest.mark.parametrize("each", [False, True])
    def test_killed_before_every_single_step_it_resumes(
        self, forks: subprocess.Popen[str], *, each: bool
    ) -> None:
        self.stride = 1
        self.test_killed_before_any_step_it_resumes(forks, commit_each=each)
