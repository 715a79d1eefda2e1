from __future__ import annotations

import ast
import inspect
from pathlib import Path

import stellarrow
from stellarrow import errors, ledgers, protocols


def public(module: object) -> set[str]:
    inside = f"{vars(module)['__name__']}."
    return {
        name
        for name, one in vars(module).items()
        if not name.startswith("_") and inspect.isclass(one) and f"{one.__module__}.".startswith(inside)
    }


def test_all_that_is_promised_is_there() -> None:
    assert all(hasattr(stellarrow, name) for name in stellarrow.__all__)
    assert sorted(stellarrow.__all__) == list(stellarrow.__all__)


def test_all_that_is_imported_is_promised() -> None:
    tree = ast.parse(Path(stellarrow.__file__).read_text())
    names = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert names == set(stellarrow.__all__)


def test_every_error_value_and_seam_is_exported() -> None:
    assert public(errors) | public(ledgers) | public(protocols) <= set(stellarrow.__all__)


def test_every_export_says_what_it_is() -> None:
    for name in set(stellarrow.__all__) - {"__version__"}:
        assert inspect.getdoc(getattr(stellarrow, name)), name
