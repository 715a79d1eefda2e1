"""Whatever is no dependency of the package is one of an extra's modules, and its absence is one sentence."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

import stellarrow
from stellarrow import extras
from stellarrow.errors import ConfigError

PACKAGE = Path(stellarrow.__file__).parent
PROJECT = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text())["project"]
# Where what is imported has another name than what is installed; the rest is alike but for dashes.
INSTALLED_AS = {
    "google.protobuf": "protobuf",
    "grpc": "grpcio",
    "grpc_health": "grpcio-health-checking",
    "grpc_reflection": "grpcio-reflection",
    "opentelemetry.trace": "opentelemetry-api",
    "opentelemetry.sdk": "opentelemetry-sdk",
    "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry.exporter.otlp.proto.grpc": "opentelemetry-exporter-otlp-proto-grpc",
    "nats": "nats-py",
    "socks": "PySocks",
    "yaml": "PyYAML",
}
BASE = {re.split(r"[\[>]", one)[0].replace("-", "_") for one in PROJECT["dependencies"]}
NO_EXTRAS = ("dev", "bench")
# Imports every module of the package where what an extra brings is not there, and says what each came to.
IMPORT_ALL = """
import importlib, json, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if any(name == one or name.startswith(one + ".") for one in blocked):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
blocked = sys.argv[1].split(",")
sys.meta_path.insert(0, Absent())
import stellarrow
from stellarrow.errors import ConfigError
found = {}
for name in sys.argv[2].split(","):
    try:
        importlib.import_module(name)
    except ConfigError as error:
        found[name] = str(error)
    except ImportError as error:
        found[name] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""


def modules() -> dict[str, Path]:
    names = {path: path.relative_to(PACKAGE.parent).with_suffix("") for path in PACKAGE.rglob("*.py")}
    return {
        ".".join(name.parts).removesuffix(".__init__"): path
        for path, name in names.items()
        if "proto" not in name.parts and name.stem != "__main__"
    }


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def brought(extra: str) -> set[str]:
    """What an extra of pyproject.toml installs, with what other extras it names install."""
    found = set()
    for one in PROJECT["optional-dependencies"][extra]:
        if inner := re.fullmatch(r"stellarrow\[(.*)\]", one):
            found |= {dist for name in inner[1].split(",") for dist in brought(name)}
        else:
            found.add(re.split(r"[\[>]", one)[0])
    return found


def test_every_module_that_is_no_dependency_is_one_of_an_extras() -> None:
    known = {module.split(".")[0] for brought in extras.EXTRAS.values() for module in brought}
    ours = sys.stdlib_module_names | BASE | known | {"stellarrow"}
    found = {name for path in modules().values() for name in imports(path)}
    assert {name for name in found if name.split(".")[0] not in ours} == set()


def test_the_list_of_extras_is_that_of_the_project() -> None:
    declared = {*PROJECT["optional-dependencies"]} - {*NO_EXTRAS}
    assert declared == {*extras.EXTRAS, extras.ALL}
    for extra, found in extras.EXTRAS.items():
        named = {INSTALLED_AS.get(module, module.replace("_", "-")) for module in found}
        assert named == brought(extra) - {INSTALLED_AS["socks"]}, extra
    assert brought(extras.ALL) == set().union(*map(brought, extras.EXTRAS.keys() - extras.LARGE))
    assert INSTALLED_AS["socks"] in brought("rpc")


@pytest.mark.parametrize(
    "module",
    [
        *("stellarrow.scanning", "stellarrow.services.processor", "stellarrow.config.saved_queries"),
        *("stellarrow.cli.commands.sql", "stellarrow.cli.commands.queries", "stellarrow.cli.query.postgres"),
    ],
)
def test_what_may_do_without_sql_is_loaded_without(module: str) -> None:
    words = [sys.executable, "-W", "error", "-c", IMPORT_ALL, ",".join(extras.EXTRAS["sql"]), module]
    assert json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout) == {}


def blocked_for(extra: str) -> set[str]:
    return {*extras.EXTRAS.get(extra, ())} or {one for found in extras.EXTRAS.values() for one in found}


@pytest.fixture(scope="module")
def imported() -> Iterator[dict[str, Future[str]]]:
    """What importing all modules says without an extra, by extra: two at a time, as each takes seconds."""
    names = ",".join(sorted(modules()))

    def without(extra: str) -> str:
        words = [sys.executable, "-W", "error", "-c", IMPORT_ALL, ",".join(blocked_for(extra)), names]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    with ThreadPoolExecutor(2) as threads:
        yield {extra: threads.submit(without, extra) for extra in (*extras.EXTRAS, extras.ALL)}


@pytest.mark.parametrize("extra", [*extras.EXTRAS, extras.ALL])
def test_a_module_that_lacks_an_extra_says_which_brings_it(
    imported: dict[str, Future[str]], extra: str
) -> None:
    blocked = blocked_for(extra)
    known = {one for brought in extras.EXTRAS.values() for one in brought}
    absent = {one for one in known - blocked if find_spec(one) is None}
    answer: dict[str, str] = json.loads(imported[extra].result())
    found = {
        name: said for name, said in answer.items() if not any(f" {one}, which" in said for one in absent)
    }
    assert bool(found) == (extra != "dataframes"), "each extra but that is missed when something is imported"
    for name, said in found.items():
        advised = re.search(r"which (?:is|are) not installed: pip install 'stellarrow\[(\w+)\]'$", said)
        assert advised, f"{name}: {said}"
        brings = {*extras.EXTRAS[advised[1]]}
        assert brings & blocked, f"{name}: {said}"


def test_one_extra_is_named_for_all_that_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("psycopg", "pgpq", "starlette", "grpc", "urllib3"):
        monkeypatch.setitem(sys.modules, module, None)
    for wanted, told in [
        (("postgres",), r"^it needs psycopg and pgpq, which are not installed: .*'stellarrow\[postgres\]'$"),
        (("grpc",), r"^it needs grpc, which is not installed: pip install 'stellarrow\[grpc\]'$"),
        (("grpc", "servers"), r"needs grpc and starlette, .*'stellarrow\[servers\]'$"),
        (("postgres", "servers"), r"needs psycopg, pgpq, grpc and starlette, .*'stellarrow\[all\]'$"),
    ]:
        with pytest.raises(ConfigError, match=told):
            extras.require("it", *wanted)
    extras.require("it", "sql", "lake")


def test_what_an_import_missed_is_explained_and_a_fault_of_ours_is_not() -> None:
    told = extras.explained("this command", ModuleNotFoundError("x", name="starlette.routing"))
    assert str(told) == (
        "this command needs starlette, which is not installed: pip install 'stellarrow[servers]'"
    )
    assert extras.explained("this command", ModuleNotFoundError("x", name="stellarrow.gone")) is None
    with pytest.raises(ModuleNotFoundError), extras.needing("it", "sql"):
        raise ModuleNotFoundError("x", name="stellarrow.gone")
    with (
        pytest.raises(
            ConfigError, match=r"^PostgreSQL cannot load what it needs \(no pq wrapper available\)"
        ),
        extras.needing("PostgreSQL", "postgres"),
    ):
        raise ImportError("no pq wrapper available")
