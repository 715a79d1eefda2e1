from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from stellarrow.cli import invoke


class Outcome(NamedTuple):
    """What a command line did."""

    code: int
    out: str
    err: str


@pytest.fixture
def stellarrow(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run a command line in this process."""

    def run(*arguments: object) -> Outcome:
        code = invoke([str(argument) for argument in arguments])
        answer = capsys.readouterr()
        return Outcome(code, answer.out, answer.err)

    return run
