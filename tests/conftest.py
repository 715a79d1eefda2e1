"""Fixtures that several tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings

from stellarrow.cli import invoke
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import Network

# A server's file brings its fixture.
pytest.register_assert_rewrite("fakes")
pytest_plugins = [
    f"fakes.{path.stem}"
    for path in Path(__file__).with_name("fakes").glob("*.py")
    if not path.name.startswith(("_", "test_"))
]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a shell's job in the background: the commands that tests start would hear no Ctrl-C either.
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("calm", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("calm")


@pytest.fixture(autouse=True, scope="session")
def _own_caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what a user's caches hold out of tests, and tests out of them."""
    with pytest.MonkeyPatch.context() as patches:
        patches.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("caches")))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The corpora and golden rows that lie beside the repository."""
    default = Path(__file__).resolve().parents[1] / ".." / "shared"
    folder = Path(os.environ.get("STELLARROW_SHARED", default))
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here: set STELLARROW_SHARED to the folder of corpora")
    return folder


@pytest.fixture(scope="session")
def ledgers() -> tuple[bytes, ...]:
    """Forty small ledgers, 100 to 139, of the synthetic network."""
    return tuple(islice(synthetic(20, first=100, ledger_bytes=4_096), 40))


@pytest.fixture
def make_lake(tmp_path: Path, ledgers: tuple[bytes, ...]) -> Callable[..., Path]:
    """Write some of the forty ledgers as a lake."""

    def make(first: int = 100, last: int = 139, *, name: str = "lake") -> Path:
        folder = tmp_path / name
        write_lake(
            folder, iter(ledgers[first - 100 : last - 99]), first=first, network=Network.of("synthetic")
        )
        return folder

    return make


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
