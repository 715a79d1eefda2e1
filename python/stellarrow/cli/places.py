"""Which source, sink and network the words on the command line mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches

from stellarrow.decode import tables
from stellarrow.errors import ConfigError, NetworkMismatch
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerSet, Network
from stellarrow.protocols import Sink, Source
from stellarrow.sinks.parquet import ParquetSink
from stellarrow.sources.files import FileSource
from stellarrow.sources.stdin import StdinSource

_FORMS = {
    "parquet": "parquet:FOLDER",
    "postgres": "postgres://USER@HOST/DATABASE",
    "postgresql": "postgresql://USER@HOST/DATABASE",
}


def open_source(location: str) -> FileSource | StdinSource:
    """Open a path, folder or glob, or stdin for `-`."""
    if location == "-":
        return StdinSource()
    scheme, separator, _ = location.partition("://")
    if separator:
        raise ConfigError(
            f"{scheme}:// is no place ledgers are read from yet: name a file, folder, glob or -"
        )
    return FileSource(location)


def open_sink(
    place: str,
    names: Sequence[str],
    *,
    network: Network,
    where: Filter | None,
    decoded: bool = False,
    transfers: str = "derive",
    expected: Callable[[], LedgerSet] | None = None,
) -> Sink:
    """Open a sink, such as `parquet:FOLDER`; `expected` tells which ledgers are about to come."""
    kind, _, rest = place.partition(":")
    if kind not in _FORMS:
        close = get_close_matches(kind, _FORMS, n=1) or list(_FORMS)
        raise ConfigError(f"{place!r} is no place to write to: did you mean {_FORMS[close[0]]}?")
    if not rest:
        raise ConfigError(f"{place!r} names no folder or database: write {_FORMS[kind]}")
    if kind == "parquet":
        folder = rest.removeprefix("//")
        return ParquetSink(folder, names, network=network, where=where, decoded=decoded, transfers=transfers)
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


def find_network(source: Source, named: str | None) -> Network:
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
            f"the ledgers' manifest says they are of {told}, not {network}: leave --network out"
        )
    return network


def table_names(text: str) -> list[str]:
    """Split a comma list of tables; `all` is the newest version of each."""
    if text.strip() == "all":
        return list(dict.fromkeys(table.name for table in tables()))
    return [name.strip() for name in text.split(",") if name.strip()]
