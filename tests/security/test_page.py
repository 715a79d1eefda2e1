"""docs/security.md: every command works as it stands, and what it says of calls and tests is so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.process import free_port
from stellarrow.security.permissions import RULES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()


@pytest.mark.slow
def test_every_command_of_the_page_works_from_an_empty_folder(lake: Path, tmp_path: Path) -> None:
    for tool in ("bash", "openssl", "curl"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name, words in (("stellarrow", " -m stellarrow.cli"), ("python3", "")):
        program = binaries / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable}{words} "$@"\n')
        program.chmod(0o755)
    folder = tmp_path / "deployment"
    folder.mkdir()
    script = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).replace("pubnet", "synthetic")
    for port in ("50054", "8816", "8089", "50053"):
        script = script.replace(f":{port}", f":{free_port()}")
    clean = "trap 'kill $(jobs -p) 2> /dev/null' EXIT\n"
    addresses = {"FLIGHT_ADDRESS": "", "PYTHONPATH": str(ROOT / "python")}
    environ = {**os.environ, **addresses, "PATH": f"{binaries}:{os.environ['PATH']}", "LEDGERS": str(lake)}
    script = script.replace(
        "source serve --config",
        "source serve --flight-address :0 --health-port :0 --grpc-address :GRPC --config",
    ).replace(":GRPC", re.findall(r"grpcs://localhost(:\d+)", script)[0])
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-euo", "pipefail", "-c", clean + script],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    logs = "".join(path.read_text() for path in folder.glob("*.log"))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{logs}"
    for told in ('{"status":', "401", "6 tables", "ops", "dashboard is revoked", "lines, whole", "answers"):
        assert told in done.stdout, told
    key = (folder / "ops.key").read_text().strip()
    assert key not in logs + done.stdout


def test_the_page_names_every_call_and_what_it_needs() -> None:
    wrong = [
        call
        for call, rule in RULES.items()
        if not re.search(
            rf"^\\| `{re.escape(call)}` \\| .*\\| {re.escape(rule.event)} \\|$", PAGE, re.MULTILINE
        )
        or (rule.need.value[0].isupper() and f"| `{call}` | {rule.need.value} |" not in PAGE)
    ]
    assert wrong == []


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    there = {
        name
        for path in (ROOT / "tests").rglob("*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert len(named) > 40
    assert named - there == set()


def numbers(written: str) -> list[str]:
    """Return the requirements that `1.2.1, 1.3.4-1.3.6` means."""
    found = []
    for part in written.split(", "):
        first, _, last = part.partition("-")
        chapter, _, begin = first.rpartition(".")
        end = (last or first).rpartition(".")[2]
        found += [f"{chapter}.{number}" for number in range(int(begin), int(end) + 1)]
    return found


def test_every_requirement_of_asvs_level_2_is_listed_once() -> None:
    rows = re.findall(r"^\| (\d+\.\d+\.\d+[\d., \-]*) \|", PAGE, re.MULTILINE)
    listed = [number for row in rows for number in numbers(row)]
    required = [
        f"{chapter}.{number}"
        for line in (Path(__file__).parent / "asvs_level_2.txt").read_text().splitlines()
        for chapter, _, rest in [line.partition(": ")]
        for number in rest.split()
    ]
    assert len(required) == 253
    assert sorted(listed) == sorted(required)
