"""Advice begins with what the user can type."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stellarrow.cli.invocation import typed_program


def installed(folder: Path) -> Path:
    folder.mkdir(parents=True)
    program = folder / "stellarrow"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def test_the_program_is_named_as_the_user_can_type_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    on_path, beside = installed(tmp_path / "bin"), installed(tmp_path / "my project" / ".venv" / "bin")
    monkeypatch.chdir(tmp_path / "my project")
    monkeypatch.setenv("PATH", str(on_path.parent))
    monkeypatch.setattr(sys, "executable", str(beside.with_name("python")))
    for called, typed in [
        (str(on_path), "stellarrow"),
        (".venv/bin/stellarrow", ".venv/bin/stellarrow"),
        (str(beside), ".venv/bin/stellarrow"),
        (f"{tmp_path}/stellarrow/cli/__main__.py", ".venv/bin/python -m stellarrow.cli"),
        ("/usr/bin/pytest", "stellarrow"),
    ]:
        monkeypatch.setattr(sys, "argv", [called])
        assert typed_program() == typed
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(tmp_path / "bin")
    monkeypatch.setattr(sys, "argv", [str(beside)])
    assert typed_program() == f"'{beside}'"
