"""The one list: what it names is there, and other packages add to it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from stellarrow import extras, registry
from stellarrow.protocols import Configured, SinkKind, SourceKind

PAGE = Path(__file__).parents[1] / "docs" / "plug_ins.md"  # has the sink
PLUG_IN = """
    from stellarrow.sources.files import FileSource

    class Remembered(FileSource):
        @classmethod
        def open(cls, url, options):
            return cls(url.partition(":")[2], metrics=options.metrics)
"""
ENTRY_POINTS = """
[stellarrow.sources]
remembered = counting_plug_in:Remembered
parquet = counting_plug_in:Remembered

[stellarrow.sinks]
counting = counting_plug_in:Counting
parquet = counting_plug_in:Counting
broken = counting_plug_in:Absent
"""


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """A package as pip would unpack it, and an environment in which Python finds it."""
    site = tmp_path / "site"
    about = site / "counting_plug_in-1.0.dist-info"
    about.mkdir(parents=True)
    shown = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (site / "counting_plug_in.py").write_text(textwrap.dedent(PLUG_IN) + "\n".join(shown))
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: counting-plug-in\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    paths = [str(site), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "HOME": str(tmp_path)}


def stellarrow(environment: dict[str, str], *words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stellarrow.cli", *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("entry", registry.sources().values(), ids=lambda entry: entry.scheme)
def test_every_source_that_is_listed_can_be_loaded(entry: registry.Entry) -> None:
    assert isinstance(entry.load(), SourceKind)


@pytest.mark.parametrize("entry", registry.sinks().values(), ids=lambda entry: entry.scheme)
def test_every_sink_that_is_listed_can_be_loaded_and_tells_its_options(entry: registry.Entry) -> None:
    if entry.extra and (absent := extras.lacking(entry.extra)):
        pytest.skip(f"{absent} is not installed")
    kind = entry.load()
    assert isinstance(kind, SinkKind)
    assert isinstance(kind, Configured)


@pytest.mark.parametrize(
    "entry",
    [*registry.FORMATS.values(), *registry.STORES.values(), *registry.FILE_STORES.values()],
    ids=lambda entry: entry.target,
)
def test_every_format_and_store_that_is_listed_can_be_loaded(entry: registry.Entry) -> None:
    assert entry.load().__name__ == entry.target.rpartition(":")[2]


def test_listing_loads_none_of_them() -> None:
    code = "import sys; from stellarrow import registry; registry.sink_forms(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not [
        name for name in done.stdout.split() if name.startswith(("stellarrow.sinks", "stellarrow.sources"))
    ]


def test_a_plug_in_that_is_installed_is_a_source_and_a_sink(
    installed: dict[str, str], tmp_path: Path
) -> None:
    stellarrow(installed, "synth", "--ledgers", 5, "--out", "all.xdr", cwd=tmp_path)
    words = ("extract", "remembered:all.xdr", "--network", "synthetic", "--tables", "ledgers")
    done = stellarrow(installed, *words, "--to", "counting:counts", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "counts").read_text() == "2:6"
    again = stellarrow(installed, *words, "--to", "counting:counts", cwd=tmp_path)
    assert again.stdout.startswith("nothing to do, 5 ledgers already there")


def test_help_doctor_and_errors_know_a_plug_in(installed: dict[str, str], tmp_path: Path) -> None:
    assert "counting:LOCATION" in stellarrow(installed, "extract", "--help", cwd=tmp_path).stdout
    done = stellarrow(installed, "doctor", "--to", "counting:x", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["findings"][-1]["state"] == "ok"
    done = stellarrow(installed, "doctor", "--to", "cuonting:x", "--json", cwd=tmp_path)
    assert "did you mean counting:LOCATION?" in json.loads(done.stdout)["findings"][-1]["message"]


def test_a_plug_in_that_cannot_be_loaded_is_named(installed: dict[str, str], tmp_path: Path) -> None:
    done = stellarrow(installed, "doctor", "--to", "broken:x", "--json", cwd=tmp_path)
    answer = json.loads(done.stdout)["findings"][-1]["message"]
    assert answer.startswith("broken: the plug-in counting_plug_in:Absent cannot be loaded (")
    assert answer.endswith("): install it again, or remove it")


def test_a_plug_in_cannot_take_the_place_of_what_comes_with_stellarrow(
    installed: dict[str, str], tmp_path: Path
) -> None:
    done = stellarrow(installed, "doctor", "--to", "parquet:x", "--json", cwd=tmp_path)
    assert "writable" in json.loads(done.stdout)["findings"][-1]["message"]


def test_a_sink_that_cannot_be_read_back_says_so(installed: dict[str, str], tmp_path: Path) -> None:
    done = stellarrow(installed, "coverage", "counting:counts", cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot be read back" in done.stderr
