"""Lumens are `native`, and `XLM` says the same wherever somebody asks for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from stellarrow.cli import invoke

LEDGERS = Path(sa.__file__).parent / "data" / "ledgers"
NAMES = pytest.mark.parametrize("name", ["native", "XLM"])


@pytest.fixture(scope="module")
def lumens() -> list[dict[str, Any]]:
    rows = pa.table(sa.scan(LEDGERS, table="token_transfers", network="pubnet")).to_pylist()
    found = [row for row in rows if row["asset_type"] == "native"]
    assert 0 < len(found) < len(rows)
    return found


@NAMES
def test_python_takes_both(lumens: list[dict[str, Any]], name: str) -> None:
    where = sa.Filter(asset_codes=[name])
    scan = sa.scan(LEDGERS, table="token_transfers", network="pubnet", where=where)
    assert pa.table(scan).to_pylist() == lumens
    assert str(where) == '{"asset_codes": ["native"]}'  # a folder of one is continued by the other


def test_the_command_line_and_the_environment_take_both_and_continue_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    lumens: list[dict[str, Any]],
) -> None:  # fmt: skip
    line = ["extract", str(LEDGERS), "--tables", "token_transfers", "--network", "pubnet", "--json"]
    line += ["--to", f"parquet:{tmp_path}"]
    assert invoke([*line, "--asset-codes", "XLM"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == {"token_transfers": len(lumens)}
    monkeypatch.setenv("FILTER_ASSET_CODES", "XLM")
    assert invoke(line) == 0
    assert invoke([*line, "--asset-codes", "native"]) == 0
    assert [json.loads(said)["ledgers"] for said in capsys.readouterr().out.splitlines()] == [0, 0]
    monkeypatch.delenv("FILTER_ASSET_CODES")
    assert invoke(line) == 1  # of all assets


def test_help_and_settings_name_both() -> None:
    from stellarrow.config import Extract  # noqa: PLC0415
    from stellarrow.config.services import Processor  # noqa: PLC0415
    from stellarrow.config.settings import settings_of  # noqa: PLC0415

    named = ((Extract, "asset_codes"), (Processor, "filter_asset_codes"), (Processor, "include_assets"))
    for kind, name in named:
        assert "native (XLM)" in settings_of(kind)[name].help
