"""Who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import stellarrow

PACKAGE = Path(stellarrow.__file__).parent
MODULES = {
    ".".join(("stellarrow", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
# The floors of the house, lowest first. A room imports rooms of lower floors, and nothing else but itself.
# A room is a module at the package's root, or a folder; a folder named here stands apart from its parent.
FLOORS = (
    ("net.printable", "storage.paths"),
    ("net.redaction",),
    ("errors",),
    ("ledgers", "filter", "extras", "plugged"),
    ("telemetry",),
    ("net", "protocols", "sql"),
    ("core",),
    ("registry",),
    ("storage", "config"),
    ("security", "records"),
    ("pipeline", "spool", "contracts", "analysis", "enrichment"),
    ("lake", "consumer", "processor"),
    (
        *("sources.rpc", "sources.lake", "sources", "sinks.files", "sinks.postgres", "sinks.kafka"),
        "sinks.nats",
        *(
            "sinks.transactional",
            "sinks.lakehouse",
            "sinks.delta",
            "sinks.iceberg",
            "sinks.clickhouse",
            "sinks.duckdb_file",
            "sinks",
        ),
    ),
    ("analysis.reads",),
    ("receiving", "forwarding"),
    ("servers.raw", "servers"),
    ("running", "scanning", "verification", "lifecycle"),
    ("backfilling",),
    ("spark",),
    ("services",),
    ("cli.output",),
    ("cli.query",),
    ("cli",),
)
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
# Rooms that hold the same floor as what they take: a family's base, and what its members share.
FAMILIES = {
    ("sources.rpc", "sources"),
    ("sources.lake", "sources"),
    ("sinks", "sinks.files"),
    ("sinks.kafka", "sinks.transactional"),
    ("sinks.nats", "sinks.transactional"),
    ("sinks.transactional", "sinks.files"),
    ("sinks.lakehouse", "sinks.transactional"),
    ("sinks.clickhouse", "sinks.transactional"),
    ("sinks.duckdb_file", "sinks.transactional"),
    ("sinks.lakehouse", "sinks.files"),
    ("sinks.delta", "sinks.files"),
    ("sinks.delta", "sinks.lakehouse"),
    ("sinks.delta", "sinks.transactional"),
    ("sinks.iceberg", "sinks.files"),
    ("sinks.iceberg", "sinks.lakehouse"),
    ("sinks.iceberg", "sinks.transactional"),
    ("servers.raw", "servers"),
}
BANNED_AT_IMPORT = {
    *("pyarrow.compute", "pyarrow.parquet", "pyarrow.dataset", "pyarrow.flight", "pandas"),
    *("click", "rich", "duckdb", "sqlglot", "asyncio", "tenacity", "prometheus_client"),
    *("stellarrow.cli", "stellarrow.sinks", "stellarrow.sources"),
}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES or alias.name == "_core" else str(node.module)


def own(path: Path) -> set[str]:
    return {name for name in imported(path) if name.split(".")[0] == "stellarrow"}


def room(module: str) -> str:
    """The longest name in the table that the module lies under; empty for the package itself."""
    parts = module.split(".")[1:]
    for length in range(len(parts), 0, -1):
        if (name := ".".join(parts[:length])) in FLOOR:
            return name
    assert not parts or parts[0] == "proto", f"{module} stands on no floor: add its room to FLOORS"
    return ""


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_from_floors_below_its_own(module: str) -> None:
    here = room(module)
    for name in own(MODULES[module]) if here else ():
        there = room(name) if name != "stellarrow._core" else ""
        if there in ("", here) or (here, there) in FAMILIES:
            continue
        assert FLOOR[there] < FLOOR[here], f"{module} imports {name}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert list(circles({name: loading(name) for name in MODULES})) == []


def loading(name: str) -> set[str]:
    """Which modules an import of this one begins to load: those it names, and the packages they lie in."""
    named = own(MODULES[name]) & MODULES.keys() - {"stellarrow"}
    return named | {above for one in named for above in packages(one) - packages(name) - {name}}


def packages(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[:length]) for length in range(2, len(parts))}


def circles(graph: dict[str, set[str]]) -> Iterator[tuple[str, ...]]:
    """Yield what is left when modules at either end of a path are taken away, again and again."""
    left = dict(graph)
    while left:
        used = {one for names in left.values() for one in names}
        ends = {name for name, names in left.items() if name not in used or not names & left.keys()}
        if not ends:
            yield tuple(sorted(left))
            return
        left = {name: names for name, names in left.items() if name not in ends}


def test_a_circle_is_found() -> None:
    assert list(circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()})) == [("b", "c")]


def test_only_core_touches_the_rust_core() -> None:
    touching = {name for name, path in MODULES.items() if "stellarrow._core" in own(path)}
    assert {room(name) for name in touching} == {"core"}


def test_nothing_imports_the_command_line() -> None:
    for name, path in MODULES.items():
        if not name.startswith("stellarrow.cli"):
            assert not any(one.startswith("stellarrow.cli") for one in own(path)), name


def test_importing_stellarrow_pulls_in_nothing_heavy() -> None:
    assert loaded("import stellarrow").isdisjoint({*BANNED_AT_IMPORT, "pyarrow", "numpy"})


def test_the_names_of_stellarrow_pull_in_nothing_that_only_some_need() -> None:
    assert loaded("from stellarrow import *").isdisjoint(BANNED_AT_IMPORT)


def test_telling_the_version_loads_no_arrow() -> None:
    code = "import stellarrow.cli\nstellarrow.cli.invoke(['--version'])"
    assert loaded(code).isdisjoint({"pyarrow", "numpy", "rich"})


def test_extracting_files_into_files_loads_only_what_that_takes(
    ledgers: tuple[bytes, ...], tmp_path: Path
) -> None:
    (tmp_path / "lake.xdr").write_bytes(ledgers[0])
    words = ["extract", f"{tmp_path}/lake.xdr", "--tables", "ledgers", "--to", f"parquet:{tmp_path}/out"]
    words += ["--network", "synthetic", "--state-dir", str(tmp_path)]
    code = f"import stellarrow.cli\nassert stellarrow.cli.invoke({words!r}) == 0"
    found = loaded(code)
    assert found.isdisjoint(
        {"rich", "duckdb", "sqlglot", "pyarrow.dataset", "pyarrow.flight", "importlib.metadata"}
    )
    own = {name for name in found if name.startswith("stellarrow.")}
    assert own.isdisjoint({"stellarrow.scanning", "stellarrow.verification", "stellarrow.backfilling"})
    assert own.isdisjoint(
        {"stellarrow.config.services", "stellarrow.config.analytics", "stellarrow.cli.dry_run"}
    )
    assert len(own) < 135, sorted(own)  # it was 122: each takes a millisecond of a start


def loaded(code: str) -> set[str]:
    """Which modules are loaded after that code."""
    command = [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_no_file_is_longer_than_the_house_allows() -> None:
    tests = Path(__file__).parent.rglob("*.py")
    assert [path for path in (*MODULES.values(), *tests) if path.read_text().count("\n") > 450] == []
