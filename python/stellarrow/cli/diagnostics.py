"""What doctor looks at: settings, sources and sinks, each found well or told how to mend."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from stellarrow import registry
from stellarrow.cli.output import formatting
from stellarrow.config import SERVICES, read
from stellarrow.core.decode import Decoder
from stellarrow.errors import ConfigError, StellarrowError
from stellarrow.ledgers import LedgerChunk, LedgerRange, LedgerSet, Network
from stellarrow.net.redaction import redacted_url
from stellarrow.net.resilience import Policy
from stellarrow.protocols import Source
from stellarrow.storage.paths import local_path

State = Literal["ok", "warning", "broken"]

_POLICY: Final = Policy(attempts=1, timeout=10.0)  # how it is now, not how it could be
_ASKS: Final = 3  # to tell the latency by
_SAMPLE: Final = 30  # ledgers read to tell the throughput by
_SAMPLE_SECONDS: Final = 3.0
_OLD_SECONDS: Final = 60.0  # a ledger closes every five or six
_WRITTEN: Final = 32 << 20  # bytes written to tell a disk's throughput by
_LEAST_ROOM: Final = 1 << 30
_LEAST_POSTGRES: Final = 14
_EXTRAS: Final = {
    "lake": "obstore",
    "rpc": "urllib3",
    "grpc": "grpc",
    "postgres": "psycopg",
    "servers": "uvicorn",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found: `message` says what, and where it is not well also how to mend it."""

    subject: str
    state: State
    message: str
    latency_ms: float | None = None
    mb_per_s: float | None = None


def settings(file: Path | None) -> Iterator[Finding]:
    """Read the settings of every service."""
    wrong = 0
    for name, service in SERVICES.items():
        try:
            read(service, file=file)
        except ConfigError as error:
            wrong += 1
            yield Finding(f"settings of {name}", "broken", str(error))
    if not wrong:
        yield Finding("settings", "ok", f"sound, from {file or 'the environment and defaults'}")


def installation() -> Finding:
    """Say which extras are there."""
    missing = [extra for extra, module in _EXTRAS.items() if find_spec(module) is None]
    if missing:
        return Finding(
            "installation",
            "ok",
            f"without {', '.join(missing)} (pip install 'stellarrow[{','.join(missing)}]')",
        )
    return Finding("installation", "ok", f"with {', '.join(_EXTRAS)}")


def sources(locations: Sequence[str], network: str | None, endpoint: str | None) -> Iterator[Finding]:
    """Look at each source, and at whether they are of one network."""
    told: dict[str, Network] = {}
    for location in locations:
        yield from _source(location, network, endpoint, told)
    for name, other in list(told.items())[1:]:
        first, expected = next(iter(told.items()))
        if other.passphrase != expected.passphrase:
            message = f"is of {other}, but {first} of {expected}: use sources of one network"
            yield Finding(name, "broken", message)


def _source(
    location: str, network: str | None, endpoint: str | None, told: dict[str, Network]
) -> Iterator[Finding]:
    name = redacted_url(location)
    try:
        opened = registry.open_source(location, endpoint=endpoint, policy=_POLICY)
        with closing(opened) as source:
            name = str(getattr(source, "name", name))
            known = source.network()
            if known:
                told[name] = known
            if known or network:
                registry.find_network(source, network)
            if ping := getattr(source, "ping", None):
                yield Finding(name, "ok", "answers", latency_ms=_latency(ping))
                return
            latency = _latency(source.available)
            held = source.available()
            yield Finding(name, "ok", f"{known or 'tells no network'}, {_extent(held)}", latency_ms=latency)
            yield from _sampled(name, source, held, Network.of(network) if network else known)
    except StellarrowError as error:
        yield Finding(name, "broken", str(error))


def _extent(held: LedgerSet) -> str:
    return f"ledgers {formatting.ranges(held)}" if held else "no ledgers"


def _sampled(name: str, source: Source, held: LedgerSet, network: Network | None) -> Iterator[Finding]:
    """Read the latest ledgers, and check them as an extraction would."""
    if not held:
        yield Finding(name, "warning", "holds no ledgers: name another place, or fill it")
        return
    if network is None:
        yield Finding(name, "warning", "the ledgers tell no network: give --network, or nothing is checked")
        return
    latest = held.ranges[-1]
    wanted = LedgerRange(max(latest.first, latest.end - _SAMPLE + 1), latest.end)
    decoder = Decoder(["ledgers"], network=network)
    closed = 0
    size = count = 0
    began = time.monotonic()
    with closing(_chunks(source, wanted)) as chunks:  # type: ignore[type-var]
        for chunk in chunks:
            run = decoder(chunk).run
            size, count, closed = size + run.size_bytes, count + run.count, run.last_closed_at
            if time.monotonic() - began > _SAMPLE_SECONDS:
                break
    rate = size / max(time.monotonic() - began, 1e-6) / 1e6
    message = (
        f"{formatting.many(count, 'ledger')} read and proven, of {formatting.size(size / max(1, count))} each"
    )
    yield Finding(name, "ok", message, mb_per_s=rate)
    age = datetime.now(UTC).timestamp() - closed
    if "rpc" in type(source).__module__ and age > _OLD_SECONDS:
        yield Finding(
            name,
            "warning",
            f"its latest ledger closed {formatting.seconds(age)} ago: it is behind, use another node",
        )


def _chunks(source: Source, wanted: LedgerRange) -> Iterator[LedgerChunk]:
    yield from source.read(wanted)


def _latency(ask: Callable[[], object]) -> float:
    taken = []
    for _ in range(_ASKS):
        began = time.monotonic()
        ask()
        taken.append((time.monotonic() - began) * 1000)
    return statistics.median(taken)


def sink(place: str) -> Iterator[Finding]:
    """Look at a sink without changing what it holds."""
    kind, _, rest = place.partition(":")
    probes = {"parquet": _folder, "postgres": _postgres, "postgresql": _postgres}
    name = redacted_url(place)
    if kind not in probes or not rest:
        known = ", ".join(f"{one}:" for one in probes)
        yield Finding(name, "broken", f"is no place to write to: begin it with one of {known}")
        return
    try:
        yield from probes[kind](place)
    except StellarrowError as error:
        yield Finding(name, "broken", str(error))


def _folder(place: str) -> Iterator[Finding]:
    folder = local_path(place.partition(":")[2].removeprefix("//")).absolute()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        room, rate = shutil.disk_usage(there).free, _written(there)
    except OSError as error:
        yield Finding(
            place, "broken", f"{there} cannot be written to ({error.strerror}): choose another folder"
        )
        return
    state: State = "ok" if room > _LEAST_ROOM else "warning"
    advice = "" if room > _LEAST_ROOM else ": make room"
    yield Finding(place, state, f"writable, {formatting.size(room)} free{advice}", mb_per_s=rate)


def _written(folder: Path) -> float:
    """Write a file that nobody sees, and return how fast it went, in MB/s."""
    with tempfile.TemporaryFile(dir=folder) as file:
        began = time.monotonic()
        file.write(bytes(_WRITTEN))
        file.flush()
        os.fsync(file.fileno())
        return _WRITTEN / max(time.monotonic() - began, 1e-6) / 1e6


def _postgres(place: str) -> Iterator[Finding]:
    from stellarrow.sinks.postgres.server import Server, without_mode  # noqa: PLC0415  an extra

    server = Server(without_mode(place)[0])
    with server.connect() as connection, server.told("ask"):
        latency = _latency(lambda: connection.execute("SELECT 1"))
        row = connection.execute(
            "SELECT current_setting('server_version_num')::int / 10000, pg_is_in_recovery(),"
            " has_database_privilege(current_database(), 'CREATE')"
        ).fetchone()
    version, standby, may_create = row or (0, False, False)
    if standby:
        yield Finding(server.name, "broken", "is a standby, which takes no writes: name the primary")
    elif not may_create:
        yield Finding(
            server.name, "broken", "lets this user create no schema: GRANT CREATE ON DATABASE to it"
        )
    elif version < _LEAST_POSTGRES:
        yield Finding(server.name, "broken", f"is version {version}: update it to {_LEAST_POSTGRES} or newer")
    else:
        yield Finding(server.name, "ok", f"version {version}, this user may write", latency_ms=latency)
