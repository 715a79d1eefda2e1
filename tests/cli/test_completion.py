from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


def completed(line: str) -> list[str]:
    """Return what bash would offer at the end of a line."""
    words = line.split(" ")
    environ = {
        **os.environ,
        "_STELLARROW_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    program = [sys.executable, "-m", "stellarrow.cli"]
    done = subprocess.run(program, env=environ, capture_output=True, text=True, check=True)
    return [one.partition(",")[2] for one in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_the_shell_is_printed(stellarrow: Run, shell: str) -> None:
    done = stellarrow("completion", shell)
    assert (done.code, "_STELLARROW_COMPLETE" in done.out) == (0, True)
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=done.out, capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_verbs_options_and_values_are_completed() -> None:
    assert completed("stellarrow ext") == ["extract"]
    assert "--on-error" in completed("stellarrow extract --on")
    assert completed("stellarrow extract --tables ledgers,contract_e") == ["ledgers,contract_events"]
    assert completed("stellarrow extract --network pub") == ["pubnet"]
    assert "retry" in completed("stellarrow dlq re")
