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
# What a module of the spine may import at most; a package name allows what is in it.
ALLOWED = {
    "stellarrow.errors": set[str](),
    "stellarrow.ledgers": {"stellarrow.errors"},
    "stellarrow.protocols": {"stellarrow.errors", "stellarrow.ledgers"},
    "stellarrow.pipeline.parallel": set[str](),
    "stellarrow.filter": {"stellarrow.errors"},
    "stellarrow.core.decode": {
        "stellarrow._core",
        *("stellarrow.sql", "stellarrow.sql.computation"),
        "stellarrow.errors",
        "stellarrow.filter",
        "stellarrow.ledgers",
    },
    "stellarrow.sql": {
        "stellarrow.sql.computation",
        "stellarrow.errors",
        "stellarrow.filter",
    },
    "stellarrow.telemetry.metrics": set[str](),
    "stellarrow.net.resilience": {"stellarrow.errors", "stellarrow.telemetry.metrics"},
    "stellarrow.pipeline.dead_letters": {"stellarrow.errors", "stellarrow.ledgers"},
    "stellarrow.pipeline.isolation": {"stellarrow.core.decode", "stellarrow.errors", "stellarrow.ledgers"},
    "stellarrow.config.values": {"stellarrow.net.address", "stellarrow.ledgers"},
    "stellarrow.config.services": {
        "stellarrow.net.address",
        *("stellarrow.config.settings", "stellarrow.config.values"),
        "stellarrow.errors",
    },
    "stellarrow.pipeline.commits": {"stellarrow.ledgers", "stellarrow.protocols"},
    "stellarrow.pipeline.hash_chain": {"stellarrow.errors", "stellarrow.ledgers"},
    "stellarrow.pipeline.loop": {
        "stellarrow.pipeline.hash_chain",
        "stellarrow.pipeline.commits",
        "stellarrow.pipeline.dead_letters",
        "stellarrow.core.decode",
        "stellarrow.errors",
        "stellarrow.filter",
        "stellarrow.ledgers",
        "stellarrow.pipeline.parallel",
        "stellarrow.protocols",
        "stellarrow.pipeline.isolation",
    },
}
# What sources, sinks and servers may know of the rest.
EDGES = {
    "stellarrow.net.address",
    "stellarrow.core.decode",
    "stellarrow.errors",
    "stellarrow.filter",
    "stellarrow.lake.layout",
    "stellarrow.lake.reader",
    "stellarrow.ledgers",
    "stellarrow.telemetry.metrics",
    "stellarrow.pipeline.parallel",
    "stellarrow.sources.chunking",
    "stellarrow.proto.raw_ledger_service_pb2",
    "stellarrow.protocols",
    "stellarrow.net.resilience",
    "stellarrow.storage",
    "stellarrow.storage.object_store",
    "stellarrow.storage.errors",
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


@pytest.mark.parametrize("module", ALLOWED)
def test_the_spine_imports_only_downwards(module: str) -> None:
    assert own(MODULES[module]) <= ALLOWED[module]


def test_only_decode_touches_the_core() -> None:
    assert {name for name, path in MODULES.items() if "stellarrow._core" in own(path)} == {
        "stellarrow.core.decode"
    }


@pytest.mark.parametrize("package", ["sources", "sinks"])
def test_sources_and_sinks_know_only_the_spine(package: str) -> None:
    for name, path in MODULES.items():
        if name.startswith(f"stellarrow.{package}."):
            family = ".".join(name.split(".")[:3])  # one kind of place may take several files
            shared = ("stellarrow.sinks.files.", f"{family}.")  # all formats of files are one kind of sink
            others = {one for one in own(path) if not f"{one}.".startswith(shared)}
            assert others <= EDGES, name


def test_nothing_imports_the_command_line() -> None:
    for name, path in MODULES.items():
        if not name.startswith("stellarrow.cli"):
            assert not any(one.startswith("stellarrow.cli") for one in own(path)), name


def test_importing_stellarrow_pulls_in_nothing_heavy() -> None:
    code = "import sys, stellarrow; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert BANNED_AT_IMPORT.isdisjoint(loaded.stdout.split())


def test_no_file_is_longer_than_the_house_allows() -> None:
    tests = Path(__file__).parent.rglob("*.py")
    assert [path for path in (*MODULES.values(), *tests) if path.read_text().count("\n") > 400] == []
