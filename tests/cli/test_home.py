"""`~` is a home wherever a path is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa

Run = Callable[..., Any]


def test_a_tilde_is_the_home_wherever_text_becomes_a_path(
    stellarrow: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    for line in (
        ("synth", "--ledgers", "5", "--size", "5KB", "--out", "~/in.xdr"),
        ("inspect", "~/in.xdr"),
        ("lake", "write", "~/in.xdr", "--to", "~/lake", "--network", "synthetic"),
        ("lake", "check", "~/lake"),
        ("extract", "~/lake", "--tables", "ledgers", "--to", "parquet:~/out"),
        ("extract", "file://~/lake", "--tables", "ledgers", "--to", "jsonl:~/lines"),
        ("coverage", "parquet:~/out"),
        ("coverage", "~/out"),
        ("check", "~/out"),
        ("compact", "~/out"),
        ("sql", "from ledgers", "--data", "~/out", "--out", "~/rows.csv"),
    ):
        done = stellarrow(*line)
        assert done.code == 0, (line, done.err)
    assert sa.scan("~/out", table="ledgers").to_reader().read_all().num_rows == 5
    assert not [*here.iterdir()]
    assert {path.name for path in home.iterdir()} >= {"in.xdr", "lake", "out", "lines", "rows.csv"}


def test_a_tilde_of_nobody_is_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stellarrow: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        stellarrow("synth", "--ledgers", "2", "--size", "5KB", "--out", "~nobody-of-that-name.xdr").code == 0
    )
    assert [path.name for path in tmp_path.iterdir()] == ["~nobody-of-that-name.xdr"]
