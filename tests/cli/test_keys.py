"""`stellarrow keys`: API keys made, listed, rotated and revoked on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stellarrow.security.api_keys import read_text

Run = Callable[..., Any]


def test_keys_are_made_listed_rotated_and_revoked_on_the_command_line(
    stellarrow: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = stellarrow(
        "keys", "create", "board", "--role", "reader", "--network", "10.0.0.1/8", "--expires", "never"
    )
    assert (made.code, bool(read_text(made.out.strip()))) == (0, True)
    (listed,) = json.loads(stellarrow("keys", "list", "--json").out)
    assert (listed["key_id"], listed["allowed_networks"], listed["expires_at"]) == (
        "board",
        ["10.0.0.0/8"],
        None,
    )
    assert "board" in stellarrow("keys", "list").out
    rotated = stellarrow("keys", "rotate", "board", "--overlap", "0s")
    assert read_text(rotated.out.strip()) not in (None, read_text(made.out.strip()))
    assert len(json.loads(stellarrow("keys", "show", "board", "--json").out)["secrets"]) == 1
    assert stellarrow("keys", "revoke", "board").out == "board is revoked\n"
    again = stellarrow("keys", "revoke", "board")
    assert (again.code, again.err.startswith("error: the API key 'board' is revoked already")) == (1, True)
    events = [
        json.loads(line)["event"] for line in Path("stellarrow-state/audit.jsonl").read_text().splitlines()
    ]
    assert events == ["key created", "key rotated", "key revoked", "key revoked"]
    assert stellarrow("audit", "verify", "stellarrow-state/audit.jsonl").code == 0


def test_a_wrong_role_on_the_command_line_is_wrong_usage(
    stellarrow: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = stellarrow("keys", "create", "x", "--role", "root")
    assert (done.code, "'root' is no role" in done.err) == (2, True)
    assert stellarrow("keys", "create", "x", "--role", "reader", "--expires", "soon").code == 2
    long = stellarrow("keys", "create", "x", "--role", "reader", "--expires", "3000000d")
    assert (long.code, "which is too long" in long.err) == (2, True)


def test_where_no_key_was_ever_made_that_is_told_and_no_folder_is_left(
    stellarrow: Run, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    listed = stellarrow("keys", "list", "--state-dir", str(gone))
    assert (listed.code, f"no API key in {gone}" in listed.out) == (0, True)
    assert stellarrow("keys", "list", "--json", "--state-dir", str(gone)).out == "[]\n"
    for verb in ("show", "rotate", "revoke"):
        done = stellarrow("keys", verb, "board", "--state-dir", str(gone))
        assert (done.code, f"none was ever made in the state folder {gone}" in done.err) == (1, True)
    assert not gone.exists()
