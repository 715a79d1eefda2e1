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
    tree = ast.parse(Path(stellarrow.__file__).with_suffix(".pyi").read_text())
    names = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert names == set(stellarrow.__all__)


def test_every_error_value_and_seam_is_exported() -> None:
    assert public(errors) | public(ledgers) | public(protocols) <= set(stellarrow.__all__)


def test_every_export_says_what_it_is() -> None:
    for name in set(stellarrow.__all__) - {"__version__"}:
        assert inspect.getdoc(getattr(stellarrow, name)), name


def exported() -> list[tuple[str, object]]:
    """Every public class, function and method that users import."""
    found: list[tuple[str, object]] = []
    for name in set(stellarrow.__all__) - {"__version__"}:
        one = getattr(stellarrow, name)
        found.append((name, one))
        if inspect.isclass(one):
            own = {key: value for key, value in vars(one).items() if not key.startswith("_")}
            found += [
                (f"{name}.{key}", value)
                for key, value in own.items()
                if inspect.isfunction(value) or isinstance(value, property | classmethod)
            ]
    return found


def test_every_public_method_and_property_says_what_it_is() -> None:
    names = [name for name, _ in exported()]
    assert {"Scan.to_table", "LedgerSet.count", "Filter.of", "Source.read"} <= {*names}
    assert [name for name, one in exported() if not inspect.getdoc(one)] == []


def test_docstrings_are_checked_where_the_exports_are_defined() -> None:
    checked = (Path(stellarrow.__file__).parents[2] / "pyproject.toml").read_text()
    public = checked.partition('"!python/stellarrow/{')[2].partition("}.py")[0].split(",")
    for name in set(stellarrow.__all__) - {"__version__"}:
        module = getattr(stellarrow, name).__module__.removeprefix("stellarrow.").replace(".", "/")
        assert any(module == one or module.rpartition("/")[0] + "/*" == one for one in public), name
