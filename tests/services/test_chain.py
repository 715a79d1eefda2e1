"""Source, processor and sink of the older family, from their three YAML files, and killed at any moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.request import urlopen

import pyarrow as pa
import pytest

import stellarrow as sa
from fakes.process import free_port
from stellarrow import registry
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.framing import sequences
from stellarrow.core.synthetic import synthetic
from tables.golden import CORPORA, PUBNET, Corpus, Row, compare, renamed
from tables.test_token_transfers import UNTOLD, rename

TABLE: Final = "token_transfers"
OLDER: Final = Path(__file__).parents[1] / "data" / "older"
SERVICES: Final = ("source", "processor", "sink")
_PATIENCE: Final = 180.0  # seconds that a loaded machine may take for anything


class Chain:
    """Three services, each with an older component's file; only ports and folders are told otherwise."""

    def __init__(self, folder: Path, files: dict[str, str]) -> None:
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        ports = {name: free_port() for name in ("source", "processor", "sink", *"abcdef")}
        self._health = {"source": ports["a"], "processor": ports["b"], "sink": ports["c"]}
        flight = {name: f":{ports[name]}" for name in SERVICES}
        self._environ = {
            "source": {"FLIGHT_ADDRESS": flight["source"], "GRPC_ADDRESS": f":{ports['d']}"},
            "processor": {
                "FLIGHT_ADDRESS": flight["processor"],
                "GRPC_ADDRESS": f":{ports['e']}",
                "SOURCE_ENDPOINT": f"flight://127.0.0.1:{ports['source']}",
                "OUTPUT_ENDPOINT": f"flight://127.0.0.1:{ports['sink']}",
            },
            "sink": {
                "FLIGHT_ADDRESS": flight["sink"],
                "SOURCE_ENDPOINT": f"127.0.0.1:{ports['processor']}",
                "COMMIT_INTERVAL": "50ms",
            },
        }
        for name, content in files.items():
            (folder / f"{name}.yaml").write_text(content)

    def start(self, name: str) -> None:
        environ = {
            "CONFIG_FILE": str(self.folder / f"{name}.yaml"),
            "STATE_DIR": str(self.folder / f"state-{name}"),
            "HEALTH_PORT": f":{self._health[name]}",
            **self._environ[name],
        }
        argv = [sys.executable, "-m", "stellarrow.cli", name, "serve", "--log-format=console"]
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                argv, env={**os.environ, **environ}, cwd=self.folder, stdout=log, stderr=log
            )

    def start_all(self) -> None:
        for name in SERVICES:
            self.start(name)
            self.ready(name)  # as orchestrators wait for what a service depends on

    def ready(self, name: str) -> None:
        """Wait until a service listens; one that ended, as its source was away, is started again."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            with suppress(URLError, OSError):
                urlopen(f"http://127.0.0.1:{self._health[name]}/health/live", timeout=5).close()
                return
            if self._running[name].poll() is not None:
                self.start(name)
            time.sleep(0.05)
        raise AssertionError(self.logs())

    def kill(self, name: str) -> None:
        self._running[name].send_signal(signal.SIGKILL)
        self._running[name].wait()

    def end(self) -> dict[str, int]:
        """Ask all to end, and return how they did."""
        for one in self._running.values():
            one.send_signal(signal.SIGTERM)
        return {name: one.wait(60) for name, one in self._running.items()}

    def close(self) -> None:
        for one in self._running.values():
            if one.poll() is None:
                one.kill()
                one.wait()

    def covered(self, network: sa.Network) -> sa.LedgerSet:
        place = f"parquet:{self.folder}/data/parquet?partition=date&codec=snappy"
        sink = registry.open_sink(place, [TABLE], registry.SinkOptions(network=network))
        with closing(sink):
            return sink.coverage()

    def wait_for(self, ledgers: sa.LedgerSet, network: sa.Network) -> None:
        deadline = time.monotonic() + _PATIENCE
        while lacking := ledgers - self.covered(network):
            assert time.monotonic() < deadline, f"{lacking} are lacking\n{self.logs()}"
            time.sleep(0.1)

    def rows(self) -> list[Row]:
        rows: list[Row] = pa.table(sa.scan(self.folder / "data" / "parquet", table=TABLE)).to_pylist()
        return sorted(rows, key=lambda row: (row["ledger_sequence"], row["event_index"]))

    def logs(self) -> str:
        return "\n".join(path.read_text()[-4_000:] for path in self.folder.glob("*.log"))


def files(ledgers: Path, first: int, last: int, passphrase: str, *, events: str = "") -> dict[str, str]:
    """Return the three files, as the older family's documents write them."""
    source = f"""
source_type: "datalake"
storage_backend: "filesystem"
storage_path: "{ledgers}"
network_passphrase: "{passphrase}"
start_ledger: {first}
end_ledger: {last}
batch_size: 50
buffer_size: 1000
flight_port: 8815
health_port: 8088
concurrent_readers: 4
processing_timeout: "30s"
security:
  tls_enabled: false
resilience:
  retry_enabled: true
"""
    processor = (OLDER / "processor.yaml").read_text().replace("auth_enabled: true", "auth_enabled: false")
    begin, end = processor.index("# TTP event filtering"), processor.index("security:")
    return {
        "source": source,
        "processor": processor[:begin] + events + processor[end:],
        "sink": (OLDER / "sink.yaml").read_text(),
    }


Make = Callable[..., Chain]


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as stack:

        def make(*arguments: Any, **choices: Any) -> Chain:
            return stack.enter_context(closing(Chain(tmp_path, files(*arguments, **choices))))

        yield make


def bundled() -> tuple[Corpus, Path]:
    corpus = next(one for one in CORPORA if one.name == "pub58752000")
    assert corpus.bundled
    return corpus, corpus.bundled / corpus.file


def test_three_older_files_make_one_chain_whose_end_has_the_golden_rows(chain: Make) -> None:
    corpus, path = bundled()
    running = chain(path, 58_752_000, 58_752_000, PUBNET)
    running.start_all()
    running.wait_for(sa.LedgerSet.of([58_752_000]), sa.Network.of("pubnet"))
    assert running.end() == {"source": 0, "processor": 0, "sink": 0}
    compare(running.rows(), renamed(corpus.golden(TABLE, None), rename), untold=UNTOLD)
    for kind in ("json", "csv"):
        assert list((running.folder / "data" / kind / TABLE).glob("date=2025-09-03/*"))


EVENTS = """
event_types:
  - "payment"
  - "path_payment_strict_receive"
  - "fee"
include_assets:
  - "XLM"  # Native Stellar lumens
  - "USDC" # USD Coin
"""


@pytest.mark.slow
def test_the_chain_carries_the_events_and_assets_that_its_file_names(chain: Make) -> None:
    _, path = bundled()
    running = chain(path, 58_752_000, 58_752_000, PUBNET, events=EVENTS)
    running.start_all()
    running.wait_for(sa.LedgerSet.of([58_752_000]), sa.Network.of("pubnet"))
    running.end()
    every: list[Row] = sa.decode(path.read_bytes(), [TABLE])[TABLE].to_pylist()
    named = ("payment", "path_payment_strict_receive", "fee")
    assert running.rows() == [
        row
        for row in every
        if (row["operation_type"] in named or row["event_type"] in named)
        and (row["asset_type"] == "native" or row["asset_code"] == "USDC")
    ]


def killed(running: Chain, *, times: int, seed: int, more: Callable[[], None] = lambda: None) -> None:
    """Kill services at random moments, each time with `more` to do."""
    dice = random.Random(seed)  # noqa: S311
    running.start_all()
    for _ in range(times):
        more()
        time.sleep(dice.random() * 0.5)
        victims = dice.sample(SERVICES, dice.choice((1, 1, 1, 2, 3)))
        for name in victims:
            running.kill(name)
        for name in victims:
            running.start(name)
    for name in SERVICES:
        running.ready(name)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_chain_killed_at_fifty_places_ends_with_every_row_once(
    chain: Make, tmp_path: Path, seed: int
) -> None:
    killed_synthetic(chain, tmp_path, times=10, seed=seed)


def test_a_chain_killed_at_random_places_ends_with_every_row_once(chain: Make, tmp_path: Path) -> None:
    killed_synthetic(chain, tmp_path, times=8, seed=17)


def killed_synthetic(chain: Make, folder: Path, *, times: int, seed: int) -> None:
    network, first, each = sa.Network.of("synthetic"), 100, 40
    made = synthetic(50, first=first, ledger_bytes=20_000)
    begins = iter(range(first, sys.maxsize, each))

    def more() -> None:
        write_lake(folder / "lake", islice(made, each), first=next(begins), network=network)

    more()
    running = chain(folder / "lake", first, 0, network.passphrase)
    killed(running, times=times, seed=seed, more=more)
    running.wait_for(sa.LedgerSet([sa.LedgerRange(first, next(begins) - 1)]), network)
    running.end()
    assert running.rows() == pa.table(sa.scan(folder / "lake", table=TABLE)).to_pylist()


@pytest.mark.slow
def test_a_killed_chain_ends_with_the_golden_rows_of_heavy_ledgers(chain: Make, shared: Path) -> None:
    corpus = next(one for one in CORPORA if one.name == "load-v27")
    path = shared / "data" / "ledgers" / corpus.file
    numbers = sequences(path.read_bytes())[: corpus.most]
    network = sa.Network.of(corpus.passphrase)
    running = chain(path, numbers[0], numbers[-1], corpus.passphrase)
    killed(running, times=5, seed=3)
    running.wait_for(sa.LedgerSet.of(numbers), network)
    running.end()
    compare(running.rows(), renamed(corpus.golden(TABLE, shared), rename), untold=UNTOLD)
