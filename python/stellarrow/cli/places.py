"""Which source, sink and network the words on the command line mean."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from stellarrow.decode import tables
from stellarrow.errors import ConfigError, NetworkMismatch
from stellarrow.filter import Filter
from stellarrow.ledgers import Network
from stellarrow.protocols import Source
from stellarrow.sinks.parquet import ParquetSink
from stellarrow.sources.files import FileSource
from stellarrow.sources.stdin import StdinSource

_SINKS = ("parquet",)


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
) -> ParquetSink:
    """Open a sink written as `parquet:FOLDER`."""
    kind, _, folder = place.partition(":")
    if kind not in _SINKS:
        close = get_close_matches(kind, _SINKS, n=1) or _SINKS
        raise ConfigError(f"{place!r} is no place to write to: did you mean {close[0]}:FOLDER?")
    if not folder:
        raise ConfigError(f"{place!r} names no folder: write {kind}:FOLDER")
    return ParquetSink(
        folder.removeprefix("//"), names, network=network, where=where, decoded=decoded, transfers=transfers
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
