"""A ledger before the first that there is: no hole, and the message says where to start."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

import stellarrow as sa
from fakes.web import web
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from stellarrow.lake.layout import Layout
from stellarrow.lake.writer import LakeWriter
from stellarrow.net.resilience import Guard
from stellarrow.protocols import Source
from stellarrow.registry import open_source
from stellarrow.sources.files import FileSource
from stellarrow.sources.lake import LakeSource
from stellarrow.sources.stdin import StdinSource
from stellarrow.storage.opening import open_store

NETWORK = sa.Network.of("synthetic")
Make = Callable[[Layout], Path]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ledgers.xdr"
    path.write_bytes(frame(list(islice(synthetic(20, first=2, ledger_bytes=4_096), 198)), "record-marked"))
    return path


@pytest.fixture
def make(tmp_path: Path, file: Path) -> Make:
    def made(layout: Layout) -> Path:
        store = open_store(str(tmp_path / "lake"))
        writer = LakeWriter(store, Guard("lake"), network=NETWORK, layout=layout)
        for part in writer.whole(sa.LedgerSet.parse("2:199")):
            list(writer.write(FileSource(file), part))
        return tmp_path / "lake"

    return made


def refused(source: Source, ledgers: str) -> str:
    with pytest.raises(sa.LedgerMissing) as caught:
        list(source.read(sa.LedgerRange.parse(ledgers)))
    source.close()
    return str(caught.value)


@pytest.mark.parametrize("layout", [Layout(), Layout(1, 1), Layout(64, 1), Layout(8, 4)], ids=str)
@pytest.mark.parametrize("form", ["file://{}", "{}", "{},{}"])
@pytest.mark.parametrize("asked", ["1:100", "0:100", "1:", "1"])
def test_a_lake_says_where_it_begins(make: Make, layout: Layout, form: str, asked: str) -> None:
    lake = make(layout)
    told = refused(open_source(form.format(lake, lake)), asked)
    assert "begins with ledger 2" in told
    assert "start there, with 2:" in told
    assert "restore" not in told


def test_a_lake_that_begins_anywhere_says_so(make_lake: Callable[..., Path]) -> None:
    for form in ("file://{}", "{}"):
        told = refused(open_source(form.format(make_lake())), "50:120")
        assert "begins with ledger 100, so there is no ledger 50" in told


def test_a_hole_is_still_a_hole(make: Make) -> None:
    lake = make(Layout())
    next(lake.rglob("*--50.xdr.zst")).unlink()
    assert "50 is missing" in refused(open_source(f"file://{lake}"), "2:100")
    assert "50 is missing" in refused(open_source(str(lake)), "2:100")


def test_all_of_a_lake_is_read_from_where_its_chain_begins(make: Make) -> None:
    lake = make(Layout(64, 1))
    for place in (f"file://{lake}", str(lake)):
        with_all = open_source(place)
        held = with_all.available()
        assert str(held) == "2:191"
        chunks = list(with_all.read(sa.LedgerRange(2, 191)))
        assert (chunks[0].first, chunks[-1].last) == (2, 191)


def test_a_pipe_says_where_it_begins(file: Path) -> None:
    with file.open("rb") as opened:
        told = refused(StdinSource(opened.fileno()), "1:100")
    assert "begins with ledger 2, so there is no ledger 1: start there, with 2:" in told


def test_a_lake_without_a_listing_says_where_its_chain_begins(make: Make) -> None:
    for layout in (Layout(), Layout(8, 4)):
        lake = make(layout)
        with web(lake) as (url, _):
            assert "begins with ledger 2, so there is no ledger 1" in refused(open_source(url), "1:100")
        shutil.rmtree(lake)


def test_a_dry_run_says_where_a_source_begins(make_lake: Callable[..., Path], tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "stellarrow.cli", "extract", str(make_lake()), "--tables", "ledgers"]
    argv += ["--ledgers", "90:110", "--to", f"parquet:{tmp_path}/out", "--dry-run"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert "missing in the source: 90 to 99 (10 ledgers)" in done.stdout
    assert "the source begins with ledger 100: start there, with 100:" in done.stdout


def test_who_follows_from_before_a_lake_is_told_at_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    followed = open_source(f"file://{make(Layout())}")

    def waited(due: sa.LedgerRange) -> None:
        raise AssertionError(f"waited for {due}")

    monkeypatch.setattr(LakeSource, "_followed", lambda _, due: waited(due))
    assert "begins with ledger 2, so there is no ledger 1" in refused(followed, "1:")


def test_who_follows_a_lake_that_has_just_begun_waits_for_its_first_files(
    make_lake: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = open_source(f"file://{make_lake(101, 103)}")
    monkeypatch.setattr(LakeSource, "_followed", lambda lake, _: (lake.close(), iter(()))[1])
    assert list(followed.read(sa.LedgerRange(100))) == []
