"""The flake: its syntax, and the names of the older images."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from deploy.tools import tool

ROOT = Path(__file__).parents[2]
FLAKE = ROOT / "flake.nix"
GUIDE = ROOT / "docs" / "from_the_older_family.md"


def commands_of_the_flake() -> dict[str, list[str]]:
    block = re.search(r"commands = \{(.*?)\};", FLAKE.read_text(), re.DOTALL)
    assert block
    found = re.findall(r"([\w-]+) = \[ (.*?) ?\];", block[1])
    return {name: re.findall(r'"(\w+)"', words) for name, words in found}


def commands_of_the_guide() -> dict[str, list[str]]:
    rows = re.findall(r"^\| (`[^|]+`) \| `([\w ]+)` \|", GUIDE.read_text(), re.MULTILINE)
    return {name: command.split() for names, command in rows for name in re.findall(r"`([\w-]+)`", names)}


def test_the_flake_and_the_guide_run_the_same_command_for_each_older_image() -> None:
    guide = commands_of_the_guide()
    assert {"stellar-arrow-source", "ttp-arrow-processor", "arrow-analytics-sink"} <= set(guide)
    assert {name: words for name, words in commands_of_the_flake().items() if words} == guide


@pytest.mark.slow
def test_nix_parses_the_flake() -> None:
    argv: list[str | Path] = [tool("nix-instantiate"), "--parse", FLAKE]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "dockerImages" in done.stdout
