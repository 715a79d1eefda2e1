"""Functions have 40 lines at most, docstrings apart, files 350, and exceptions from rules a reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import stellarrow

PACKAGE = Path(stellarrow.__file__).parent
FUNCTION_LINES = 40
FILE_LINES = 350
# Functions that are tables: entry after entry, and nothing decided between.
TABLES = {
    "core/decode.py decode": "the parameters of a public call, and what each becomes",
    "running.py run": "the parameters of a public call, and what each becomes",
    "scanning/reading.py scan": "the parameters of a public call, and what each becomes",
    "telemetry/metrics.py __init__": "the metrics, one after another",
}
GENERATED = "proto"
BARE = re.compile(r"# (noqa(: [A-Z0-9, ]+)?|type: ignore(\[[a-z, -]+\])?)$", re.MULTILINE)


def modules() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE)
        if name.parts[0] != GENERATED:
            yield name.as_posix(), path.read_text()


def long_functions(name: str, source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and lines_of(node) > FUNCTION_LINES:
            yield f"{name} {node.name}"


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count from `def` to the end, without the docstring."""
    first = function.body[0]
    says = 0
    if ast.get_docstring(function, clean=False) is not None:
        says = (first.end_lineno or 0) - first.lineno + 1
    return (function.end_lineno or 0) - function.lineno + 1 - says


def test_no_function_is_long_but_tables() -> None:
    found = {one for name, source in modules() for one in long_functions(name, source)}
    assert found == set(TABLES), "split them by what they do; name here only what is a table"


def test_no_file_is_long() -> None:
    assert [name for name, source in modules() if source.count("\n") > FILE_LINES] == []


def test_a_long_function_is_found_whatever_its_docstring_says() -> None:
    body = "\n".join(f"    x{line} = {line}" for line in range(FUNCTION_LINES))
    words = "\n".join(["    '''One."] + ["    More."] * 50 + ["    '''"])
    assert list(long_functions("a.py", f"def long():\n{body}\n")) == ["a.py long"]
    assert list(long_functions("a.py", f"async def short():\n{words}\n    return 1\n")) == []


def test_no_rule_is_silenced_without_its_reason() -> None:
    assert [f"{name}: {found[0]}" for name, source in modules() for found in BARE.finditer(source)] == []


def test_an_exception_without_a_reason_is_found() -> None:
    assert BARE.search("import x  # noqa: PLC0415\n")
    assert BARE.search("class A(B):  # type: ignore[misc]\n")
    assert not BARE.search("import x  # noqa: PLC0415  an extra\n")
