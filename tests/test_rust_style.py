"""What the Rust code is held to beyond what clippy and rustfmt see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CRATES = Path(__file__).parent.parent / "crates"
FILES = {str(path.relative_to(CRATES)): path.read_text() for path in CRATES.rglob("*.rs")}
LINES_PER_FUNCTION, LINES_PER_FILE = 40, 350
FUNCTION = re.compile(r"( *)(?:pub(?:\([^)]*\))? )?(?:const )?fn (\w+)")
# Where numbers get their names.
NAMING = ("core/src/xdr/", "core/src/contract/spec.rs")
# What a match may tell apart by number, because a number is what it is.
NUMBERS = re.compile(r"version|count|byte|mark\b|index|choice|dice|place %")
NUMBERED_ARM = re.compile(r"( *)\(?-?\d\w*\b.*=>")


def functions(text: str) -> Iterator[tuple[str, int]]:
    """Yield each function of formatted code with its lines, from `fn` to the closing brace."""
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if begun := FUNCTION.match(line):
            ends = {f"{begun[1]}}}", f"{begun[1]}}};"}
            rest = enumerate(lines[at:], 1)
            yield begun[2], next(n for n, one in rest if one in ends or (n == 1 and one.endswith((";", "}"))))


def numbered_arms(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and matched expression of each match arm whose pattern begins with a bare number."""
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if not (arm := NUMBERED_ARM.match(line)):
            continue
        outer = len(arm[1]) - 4
        above = range(at, -1, -1)
        opening = next(
            (n for n in above if lines[n].strip() and len(lines[n]) - len(lines[n].lstrip()) <= outer), 0
        )
        first = next((n for n in range(opening, -1, -1) if "match " in lines[n] or lines[n].endswith(";")), 0)
        whole = " ".join(lines[first : opening + 1])
        if "match " in whole:
            yield at + 1, whole.split("match ", 1)[1]


@pytest.mark.parametrize("name", FILES)
def test_no_function_and_no_file_is_longer_than_the_house_allows(name: str) -> None:
    text = FILES[name]
    assert text.count("\n") <= LINES_PER_FILE
    assert {one: lines for one, lines in functions(text) if lines > LINES_PER_FUNCTION} == {}


@pytest.mark.parametrize("name", [name for name in FILES if "/src/" in name and not name.startswith(NAMING)])
def test_arms_of_unions_are_named(name: str) -> None:
    bare = [(line, matched) for line, matched in numbered_arms(FILES[name]) if not NUMBERS.search(matched)]
    assert bare == [], "give the values names in crates/core/src/xdr/discriminants.rs"


def test_long_functions_are_found() -> None:
    body = "\n".join(
        ["    pub(crate) fn long(", "        self,", "    ) {", *["        go();"] * 40, "    }"]
    )
    text = f"impl X {{\n    fn short() {{}}\n{body}\n}}\n"
    assert dict(functions(text)) == {"short": 1, "long": 44}


def test_bare_arms_are_found() -> None:
    lines = (
        "fn f() {",
        "    Some(match xdr::u32(bytes)? {",
        "        (0, rest) => rest,",
        "        _ => {",
        "            g()",
        "        }",
        "        -13 => h,",
        "    })",
        "}",
    )
    assert list(numbered_arms("\n".join(lines))) == [(3, "xdr::u32(bytes)? {"), (7, "xdr::u32(bytes)? {")]
