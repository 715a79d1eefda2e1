from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from stellarrow.cli.setting_flags import options
from stellarrow.config import Processor

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_value_is_shown_with_where_it_came_from(
    stellarrow: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stellarrow.toml").write_text('[processor]\nworker_count = 2\nlog_level = "debug"\n')
    monkeypatch.setenv("LOG_LEVEL", "error")
    answer = json.loads(stellarrow("config", "show", "processor", "--json").out)["processor"]
    assert answer["worker_count"] == {"value": "2", "origin": "worker_count in stellarrow.toml [processor]"}
    assert answer["log_level"] == {"value": "error", "origin": "LOG_LEVEL in the environment"}
    assert answer["batch_size"] == {"value": "1000", "origin": "default"}
    drawn = stellarrow("config", "show", "processor").out
    assert "[processor]" in drawn
    assert "file: stellarrow.toml" in drawn


def test_all_services_are_shown_without_a_secret(stellarrow: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    for arguments in ((), ("--json",)):
        done = stellarrow("config", "show", *arguments)
        assert "hunter2" not in done.out
        assert all(service in done.out for service in ("source", "processor", "consumer", "extract"))


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["show", "procesor"], "did you mean processor?"),
        (["shw"], "did you mean show?"),
        (["show", "--config", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_a_mistake_is_answered(stellarrow: Run, arguments: list[str], remedy: str) -> None:
    done = stellarrow("config", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert remedy in done.err


def test_every_setting_is_a_flag_of_its_service() -> None:
    @click.command()
    @options(Processor, {})
    def serve(settings: Processor) -> None:
        click.echo(f"{settings.grpc_address} {settings.include_deleted} {settings.flowctl_enabled}")

    given = ["--grpc-address", ":9", "--include-deleted", "false", "--flowctl-enabled"]
    assert CliRunner().invoke(serve, given).output == "127.0.0.1:9 False True\n"
    answer = CliRunner().invoke(serve, ["--help"]).output
    assert "--health-port ADDRESS" in answer
