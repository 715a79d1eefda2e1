"""Which source, sink and network a path or URL means: the one place that names concrete ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import groupby
from pathlib import Path
from typing import Final

from stellarrow.core.tables import tables
from stellarrow.errors import ConfigError, NetworkMismatch
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerSet, Network
from stellarrow.net.credentials import SourceAccess
from stellarrow.net.redaction import redacted_url
from stellarrow.net.resilience import Policy
from stellarrow.protocols import Sink, Source
from stellarrow.sinks.files.location import FORMATS, Place
from stellarrow.sinks.files.reading import format_of
from stellarrow.sinks.files.sink import FileSink
from stellarrow.sources.files import FileSource
from stellarrow.sources.stdin import StdinSource
from stellarrow.telemetry.metrics import Metrics

_FORMS = {
    "parquet": "parquet:FOLDER",
    "jsonl": "jsonl:FOLDER",
    "csv": "csv:FOLDER",
    "postgres": "postgres://USER@HOST/DATABASE",
    "postgresql": "postgresql://USER@HOST/DATABASE",
}


def open_source(
    location: str | None,
    *,
    rpc: Sequence[str] = (),
    network: str | None = None,
    endpoint: str | None = None,
    fetchers: int | None = None,
    access: SourceAccess | None = None,
    policy: Policy | None = None,
    metrics: Metrics | None = None,
) -> Source:
    """Open a path, folder, glob or URL, `-` for stdin, or a comma list of them; `rpc` nodes come last.

    Neighbouring RPC nodes stand in for each other; other neighbours are chained. `endpoint` is where an
    S3-compatible store is, `fetchers` how many files of a lake are fetched at once, `access` what lets us in
    (by default as the environment says).
    """
    parts = (
        [location] if location and Path(location).exists() else [*filter(None, (location or "").split(","))]
    )
    parts += [url if url.startswith(_RPC) else f"{_RPC}{url}" for url in rpc]
    if not parts:
        raise ConfigError("no source is named: give a path or URL of ledgers, or --rpc URL")
    access = access or SourceAccess.of_environment()
    seams = _Seams(network, endpoint, fetchers, access, policy, metrics)
    opened: list[Source] = []
    for is_rpc, neighbours in groupby(parts, lambda part: part.startswith(_RPC)):
        run = list(neighbours)
        opened += [_open_rpc(run, seams)] if is_rpc else [_open_part(part, seams) for part in run]
    return opened[0] if len(opened) == 1 else _chained(opened)


@dataclass(frozen=True, slots=True)
class _Seams:
    """What sources are given."""

    network: str | None
    endpoint: str | None
    fetchers: int | None
    access: SourceAccess
    policy: Policy | None
    metrics: Metrics | None


def _open_part(location: str, seams: _Seams) -> Source:
    if location == "-":
        return StdinSource(metrics=seams.metrics)
    scheme, separator, _ = location.partition("://")
    if not separator:
        return FileSource(location, metrics=seams.metrics)
    if scheme not in _SOURCES:
        close = get_close_matches(scheme, _SOURCES, n=1)
        known = ", ".join(f"{name}://" for name in sorted((*_SOURCES, f"{_RPC}https")))
        remedy = f"did you mean {close[0]}://?" if close else f"name a path, or one of {known}"
        raise ConfigError(f"{scheme}:// is no place ledgers are read from: {remedy}")
    return _SOURCES[scheme](location, seams)


def _open_lake(url: str, seams: _Seams) -> Source:
    from stellarrow.sources.lake import LakeOptions, LakeSource  # noqa: PLC0415  few need it

    options = LakeOptions(
        endpoint=seams.endpoint,
        fetchers=seams.fetchers,
        credentials=seams.access.source,
        instance_credentials=seams.access.instance_credentials,
    )
    return LakeSource(url, options, policy=seams.policy, metrics=seams.metrics)


def _open_grpc(url: str, seams: _Seams) -> Source:
    from stellarrow.sources.grpc import GrpcSource  # noqa: PLC0415  an extra

    return GrpcSource(url, credentials=seams.access.source, policy=seams.policy, metrics=seams.metrics)


def _open_rpc(urls: Sequence[str], seams: _Seams) -> Source:
    from stellarrow.sources.rpc import RpcSource  # noqa: PLC0415  an extra

    plain = [url.removeprefix(_RPC) for url in urls]
    return RpcSource(
        plain,
        network=seams.network,
        credentials=seams.access.rpc,
        policy=seams.policy,
        metrics=seams.metrics,
    )


def _chained(sources: Sequence[Source]) -> Source:
    from stellarrow.sources.chained import ChainedSource  # noqa: PLC0415  few need it

    return ChainedSource(sources)


_RPC: Final = "rpc+"
_SOURCES: Final[dict[str, Callable[[str, _Seams], Source]]] = {
    "grpc": _open_grpc,
    **dict.fromkeys(("s3", "gs", "az", "https", "http", "file"), _open_lake),
    "grpcs": _open_grpc,
}


def check_apart(sinks: Iterable[object]) -> None:
    """Refuse two sinks of files in one place: both would keep a table in the folder of its name."""
    taken: dict[str, str] = {}
    for sink in sinks:
        if isinstance(sink, str) and sink.partition(":")[0] in FORMATS:
            root = Place.parse(sink).root
            if root in taken:
                raise ConfigError(f"{taken[root]} and {sink} are one place: give each a folder of its own")
            taken[root] = sink


def open_sink(
    place: str,
    names: Sequence[str],
    *,
    network: Network,
    where: Filter | None,
    decoded: bool = False,
    transfers: str = "derive",
    expected: Callable[[], LedgerSet] | None = None,
    instance_credentials: bool | None = None,
) -> Sink:
    """Open a sink, such as `parquet:FOLDER?codec=lz4`; `expected` tells which ledgers are about to come."""
    kind, _, rest = place.partition(":")
    if kind not in _FORMS:
        close = get_close_matches(kind, _FORMS, n=1) if rest else []
        remedy = (
            f"did you mean {_FORMS[close[0]]}?"
            if close
            else f"name a format, such as parquet:{redacted_url(place)}"
        )
        raise ConfigError(f"{redacted_url(place)!r} is no place to write to: {remedy}")
    if not rest:
        raise ConfigError(f"{redacted_url(place)!r} names no folder or database: write {_FORMS[kind]}")
    if kind in FORMATS:
        files = Place.parse(place)
        return FileSink(
            files.open(instance_credentials=instance_credentials),
            names,
            format=format_of(kind, files.codec),
            network=network,
            where=where,
            decoded=decoded,
            transfers=transfers,
            partition=files.partition,
            ledgers_per_file=files.ledgers,
            unsigned=files.unsigned,
        )
    from stellarrow.sinks.postgres import PostgresSink  # noqa: PLC0415  its client is an extra

    return PostgresSink(
        place,
        names,
        network=network,
        where=where,
        decoded=decoded,
        transfers=transfers,
        expected=expected() if expected else None,
    )


def find_network(source: Source, named: str | Network | None) -> Network:
    """Return the network the source's manifest tells, or the one named."""
    told = source.network()
    if named is None:
        if told is None:
            raise ConfigError(
                "the ledgers do not tell their network: give --network, a name such as pubnet or a passphrase"
            )
        return told
    network = Network.of(named)
    if told and told.passphrase != network.passphrase:
        raise NetworkMismatch(
            f"the source says its ledgers are of {told}, not {network}: leave --network out"
        )
    return network


def table_names(text: str) -> list[str]:
    """Split a comma list of tables; `all` is the newest version of each."""
    if text.strip() == "all":
        return list(dict.fromkeys(table.name for table in tables()))
    return [name.strip() for name in text.split(",") if name.strip()]
