"""The one list of sources, sinks, formats and stores: which class each scheme means, loaded when needed.

It imports none of them. Other packages add to it by entry points in the groups `stellarrow.sources` and
`stellarrow.sinks`: the name is the scheme, the object a class such as `protocols.SourceKind` or `SinkKind`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from stellarrow import extras
from stellarrow.core.options import DecodeOptions
from stellarrow.errors import ConfigError, NetworkMismatch, nearest
from stellarrow.ledgers import LedgerSet, Network
from stellarrow.net.credentials import SourceAccess
from stellarrow.net.redaction import redacted_url
from stellarrow.plugged import points
from stellarrow.protocols import Located, SinkKind, SourceKind
from stellarrow.storage.paths import local_path

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from stellarrow.net.resilience import Policy
    from stellarrow.protocols import Sink, Source
    from stellarrow.telemetry.metrics import Metrics  # its library is slow to import


@dataclass(frozen=True, slots=True)
class Entry:
    """A scheme, how a location of it is written, the class it means, as `module:name`, and what it is.

    Neighbours of one `joined` class in a comma list are opened as one source.
    """

    scheme: str
    form: str
    target: str
    summary: str = ""
    joined: bool = False
    point: EntryPoint | None = None
    extra: str = ""

    def load(self) -> Any:
        """Import the class; a ConfigError where the `extra` that it takes is not installed."""
        if self.extra:
            extras.require(self.form, self.extra)
        if self.point is None:
            module, _, name = self.target.partition(":")
            return getattr(import_module(module), name)
        try:
            return self.point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"{self.scheme}: the plug-in {self.target} cannot be loaded ({error}): install it again, or"
                " remove it"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What a source is opened with; `endpoint` is where an S3-compatible store is."""

    network: str | None = None
    endpoint: str | None = None
    fetchers: int | None = None
    access: SourceAccess
    policy: Policy | None = None
    metrics: Metrics | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkOptions(DecodeOptions):
    """How the rows that come are made; `expected` tells which ledgers are about to come."""

    expected: Callable[[], LedgerSet] | None = None
    instance_credentials: bool | None = None

    @classmethod
    def of(
        cls,
        options: DecodeOptions,
        *,
        expected: Callable[[], LedgerSet] | None = None,
        instance_credentials: bool | None = None,
    ) -> SinkOptions:
        """Take options of a run for those of its sinks."""
        return cls(
            network=options.network,
            where=options.where,
            decoded=options.decoded,
            transfers=options.transfers,
            expected=expected,
            instance_credentials=instance_credentials,
        )


PATH: Final = "path"  # what has no scheme
_FILES: Final = "stellarrow.sinks.files"
_LAKE: Final = "stellarrow.sources.lake:LakeSource"
_GRPC: Final = "stellarrow.sources.grpc:GrpcSource"
_FLIGHT: Final = "stellarrow.sources.flight:FlightSource"
_NODES: Final = "stellarrow.sources.rpc:RpcSource"
_SINK: Final = f"{_FILES}.sink:FileSink"
_POSTGRES: Final = "stellarrow.sinks.postgres:PostgresSink"
_NATS: Final = "stellarrow.sinks.nats:NatsSink"
_ICEBERG: Final = "stellarrow.sinks.iceberg:IcebergSink"
_CLICK: Final = "stellarrow.sinks.clickhouse:ClickHouseSink"
_CLOUD_STORE: Final = "stellarrow.storage.object_store:CloudStore"
_CLOUD_FILES: Final = "stellarrow.storage.cloud_files:CloudFiles"
_CLOUDS: Final = {"s3": "s3://BUCKET/PREFIX", "gs": "gs://BUCKET/PREFIX", "az": "az://CONTAINER/PREFIX"}
_RPC: Final = "rpc+"


def _listed(*entries: Entry) -> dict[str, Entry]:
    return {entry.scheme: entry for entry in entries}


_SOURCES: Final = _listed(
    Entry(PATH, "PATH", "stellarrow.sources.files:FileSource", "ledgers in files: a path, folder or glob"),
    Entry("-", "-", "stellarrow.sources.stdin:StdinSource", "ledgers from a pipe"),
    Entry("file", "file:///FOLDER", _LAKE, "a data lake (SEP-54) in a folder"),
    Entry("s3", "s3://BUCKET/PREFIX", _LAKE, "a data lake in S3 or what speaks its protocol", extra="lake"),
    Entry("gs", "gs://BUCKET/PREFIX", _LAKE, "a data lake in Google Cloud Storage", extra="lake"),
    Entry("az", "az://CONTAINER/PREFIX", _LAKE, "a data lake in Azure Blob Storage", extra="lake"),
    Entry("https", "https://HOST/PREFIX", _LAKE, "a data lake below a web address", extra="lake"),
    Entry("http", "http://HOST/PREFIX", _LAKE, "a data lake below a web address without TLS", extra="lake"),
    Entry("grpc", "grpc://HOST:PORT", _GRPC, "a raw-ledger service", extra="grpc"),
    Entry("grpcs", "grpcs://HOST:PORT", _GRPC, "a raw-ledger service with TLS", extra="grpc"),
    Entry("flight", "flight://HOST:PORT", _FLIGHT, "a raw-ledger service over Arrow Flight"),
    Entry("flights", "flights://HOST:PORT", _FLIGHT, "a raw-ledger service over Arrow Flight with TLS"),
    Entry("rpc+https", "rpc+https://HOST", _NODES, "a Stellar RPC node", joined=True, extra="rpc"),
    Entry("rpc+http", "rpc+http://HOST", _NODES, "a Stellar RPC node without TLS", joined=True, extra="rpc"),
)
_CHAIN: Final = Entry(",", "SOURCE,SOURCE", "stellarrow.sources.chained:ChainedSource")
_SINKS: Final = _listed(
    Entry("parquet", "parquet:FOLDER", _SINK, "Parquet files"),
    Entry("jsonl", "jsonl:FOLDER", _SINK, "JSON lines"),
    Entry("csv", "csv:FOLDER", _SINK, "CSV files"),
    Entry("postgres", "postgres://USER@HOST/DATABASE", _POSTGRES, "tables in PostgreSQL", extra="postgres"),
    Entry("postgresql", "postgresql://USER@HOST/DATABASE", _POSTGRES, "the same", extra="postgres"),
    Entry("kafka", "kafka://HOST:9092", "stellarrow.sinks.kafka:KafkaSink", "topics in Kafka", extra="kafka"),
    Entry("nats", "nats://HOST:4222", _NATS, "subjects in NATS JetStream", extra="nats"),
    Entry("tls", "tls://HOST:4222", _NATS, "the same with TLS", extra="nats"),
    Entry("duckdb", "duckdb:FILE", "stellarrow.sinks.duckdb_file:DuckDbSink", "a DuckDB file", extra="sql"),
    Entry("clickhouse", "clickhouse://HOST/DATABASE", _CLICK, "tables in ClickHouse", extra="clickhouse"),
    Entry("delta", "delta:FOLDER", "stellarrow.sinks.delta:DeltaSink", "Delta tables"),
    Entry("iceberg", "iceberg:CATALOG/NAMESPACE", _ICEBERG, "Iceberg tables", extra="iceberg"),
)
# Formats of files, and places of files that sinks write.
FORMATS: Final = _listed(
    Entry("parquet", "parquet", f"{_FILES}.formats.parquet:Parquet"),
    Entry("jsonl", "jsonl", f"{_FILES}.formats.jsonl:JsonLines"),
    Entry("csv", "csv", f"{_FILES}.formats.csv:Csv"),
)
FILE_STORES: Final = _listed(
    *(Entry(scheme, form, _CLOUD_FILES, extra="lake") for scheme, form in _CLOUDS.items()),
    Entry("file", "file:///FOLDER", "stellarrow.storage.local_files:LocalFiles"),
)
# Places that keep the objects of lakes.
_WEB: Final = {"https": "https://HOST/PREFIX", "http": "http://HOST/PREFIX"}
STORES: Final = _listed(
    *(Entry(scheme, form, _CLOUD_STORE, extra="lake") for scheme, form in (_CLOUDS | _WEB).items()),
    Entry("file", "file:///FOLDER", "stellarrow.storage.local:LocalStore"),
)


@cache
def _installed(group: str) -> tuple[Entry, ...]:
    return tuple(Entry(one.name, f"{one.name}:LOCATION", one.value, point=one) for one in points(group))


def sources() -> Mapping[str, Entry]:
    """Return every source by its scheme; what comes with stellarrow cannot be replaced."""
    return _listed(*_installed("stellarrow.sources")) | _SOURCES


def sinks() -> Mapping[str, Entry]:
    """Return every sink by its scheme; what comes with stellarrow cannot be replaced."""
    return _listed(*_installed("stellarrow.sinks")) | _SINKS


def built_in_sources() -> list[Entry]:
    """Return the sources that come with stellarrow."""
    return list(_SOURCES.values())


def built_in_sinks() -> list[Entry]:
    """Return the sinks that come with stellarrow."""
    return list(_SINKS.values())


def sink_forms() -> str:
    """Name every sink as people write it, for help and errors."""
    return _either(entry.form for scheme, entry in sinks().items() if scheme != "postgresql")


def _either(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


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
    parts = _parts(location, rpc)
    if not parts:
        raise ConfigError("no source is named: give a path or URL of ledgers, or --rpc URL")
    options = SourceOptions(
        network=network,
        endpoint=endpoint,
        fetchers=fetchers,
        access=access or SourceAccess.of_environment(),
        policy=policy,
        metrics=metrics,
    )
    opened: list[Source] = [_kind(entry, SourceKind).open(url, options) for entry, url in _joined(parts)]
    if len(opened) > 1:
        opened = [_CHAIN.load()(opened, metrics=metrics)]
    return opened[0]


def _parts(location: str | None, rpc: Sequence[str]) -> list[str]:
    whole = location and local_path(location).exists()
    parts = [location] if location and whole else [*filter(None, (location or "").split(","))]
    return parts + [url if url.startswith(_RPC) else f"{_RPC}{url}" for url in rpc]


def extras_of(location: str | None, *, rpc: Sequence[str] = (), sinks: Iterable[str] = ()) -> list[str]:
    """Return the extras that a source and sinks take together, so that one sentence can name one for all."""
    entries = [*map(source_entry, _parts(location, rpc)), *map(sink_entry, sinks)]
    stores = [place.partition(":")[2].partition("://")[0] for place in sinks]
    entries += [FILE_STORES[store] for store in stores if store in FILE_STORES]
    return list(dict.fromkeys(entry.extra for entry in entries if entry.extra))


def _joined(parts: Sequence[str]) -> Iterator[tuple[Entry, str]]:
    """Yield what is to be opened: neighbours that are one source as a comma list."""
    found = [(source_entry(part), part) for part in parts]
    for target, run in groupby(found, key=lambda one: one[0].target if one[0].joined else None):
        neighbours = list(run)
        if target is None:
            yield from neighbours
        else:
            yield neighbours[0][0], ",".join(part for _, part in neighbours)


def source_entry(location: str) -> Entry:
    """Return what a location's scheme means."""
    known = sources()
    if location == "-":
        return known["-"]
    scheme, separator, _ = location.partition("://")
    if location.startswith(_RPC):
        return known.get(scheme, known["rpc+https"])
    plugged = location.partition(":")[0]
    if not separator and plugged in known and known[plugged].point and not local_path(location).exists():
        return known[plugged]
    if not separator:
        return known[PATH]
    if scheme not in known:
        named = [name for name in known if name not in (PATH, "-")]
        listed = ", ".join(f"{name}://" for name in sorted(named))
        remedy = nearest(scheme, named, f"name a path, or one of {listed}", show="{}://".format)
        raise ConfigError(f"{scheme}:// is no source of ledgers: {remedy}")
    return known[scheme]


def _kind(entry: Entry, kind: type) -> Any:
    found = entry.load()
    if not isinstance(found, kind):
        raise ConfigError(f"{entry.scheme}: the plug-in {entry.target} has no open: update it, or remove it")
    return found


def check_apart(sinks: Iterable[object]) -> None:
    """Refuse two sinks of files in one place: both would keep a table in the folder of its name."""
    taken: dict[str, str] = {}
    for sink in sinks:
        kind = sink_entry(sink).load() if isinstance(sink, str) else None
        if isinstance(sink, str) and isinstance(kind, Located):
            root = kind.root(sink)
            if root in taken:
                raise ConfigError(f"{taken[root]} and {sink} are one place: give each a folder of its own")
            taken[root] = sink


def sink_entry(location: str) -> Entry:
    """Return what a sink's scheme means, or say how one is written."""
    scheme, _, rest = location.partition(":")
    known = sinks()
    if scheme not in known:
        remedy = f"start it with one of {', '.join(f'{name}:' for name in known)}"
        if not rest or scheme in FILE_STORES:
            remedy = f"name a format, such as parquet:{redacted_url(location)}"
        if rest:
            remedy = nearest(scheme, known, remedy, show=lambda name: known[name].form)
        raise ConfigError(f"{redacted_url(location)!r} is no sink: {remedy}")
    if not rest:
        form = known[scheme].form
        raise ConfigError(f"{redacted_url(location)!r} names no folder or database: write {form}")
    return known[scheme]


def open_sink(place: str, names: Sequence[str], options: SinkOptions) -> Sink:
    """Open a sink, such as `parquet:FOLDER?codec=lz4`.

    Nothing is made or changed there before the first write.
    """
    opened: Sink = _kind(sink_entry(place), SinkKind).open(place, names, options)
    return opened


def find_network(source: Source, named: str | Network | None) -> Network:
    """Return the network the source's manifest tells, or the one named."""
    answer = source.network()
    if named is None:
        if answer is None:
            with suppress(ConfigError):  # of a source that cannot be asked
                source.available()  # what is no ledger at all says so
            raise ConfigError(
                "the ledgers do not tell their network: give --network, a name such as pubnet or a passphrase"
            )
        return answer
    network = Network.of(named)
    if answer and answer.passphrase != network.passphrase:
        raise NetworkMismatch(
            f"the source says its ledgers are of {answer}, not {network}: leave --network out"
        )
    return network
