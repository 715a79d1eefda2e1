"""What doctor looks at: settings, sources and sinks, each found well or told how to fix."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from stellarrow import extras, registry
from stellarrow.cli.output import formatting
from stellarrow.config import SERVICES, read
from stellarrow.core.decode import Decoder
from stellarrow.errors import ConfigError, StellarrowError
from stellarrow.ledgers import LedgerChunk, LedgerRange, LedgerSet, Network
from stellarrow.net.credentials import SourceAccess
from stellarrow.net.redaction import redacted_url
from stellarrow.net.resilience import Policy
from stellarrow.protocols import Checked, Live, Named, Pingable, Source

State = Literal["ok", "warning", "broken"]

_POLICY: Final = Policy(attempts=1, timeout=10.0)  # how it is now, not how it could be
_ASKS: Final = 3  # to tell the latency by
_SAMPLE: Final = 30  # ledgers read to tell the throughput by
_SAMPLE_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found: `message` says what, and where it is not well also how to fix it."""

    subject: str
    state: State
    message: str
    latency_ms: float | None = None
    mb_per_s: float | None = None


def settings(file: Path | None) -> Iterator[Finding]:
    """Read the settings of every service; what is wrong with several is told once."""
    wrong: dict[str, list[str]] = {}
    for name, service in SERVICES.items():
        try:
            read(service, file=file)
        except ConfigError as error:
            wrong.setdefault(str(error), []).append(name)
    for message, names in wrong.items():
        whose = "" if len(names) == len(SERVICES) else f" of {', '.join(names)}"
        yield Finding(f"settings{whose}", "broken", message)
    if not wrong:
        yield Finding("settings", "ok", f"sound, from {file or 'the environment and defaults'}")


def installation() -> Finding:
    """Say which extras are there, and which not."""
    missing = [extra for extra in extras.EXTRAS if extras.lacking(extra)]
    there = [extra for extra in extras.EXTRAS if extra not in missing]
    said = [f"with {', '.join(there)}"] if there else []
    if missing:
        wanted = ",".join(missing) if there else extras.ALL
        said.append(f"without {', '.join(missing)} (pip install 'stellarrow[{wanted}]')")
    return Finding("installation", "ok", "; ".join(said))


def sources(
    locations: Sequence[str], network: str | None, endpoint: str | None, access: SourceAccess | None = None
) -> Iterator[Finding]:
    """Look at each source, and at whether they are of one network."""
    report: dict[str, Network] = {}
    for location in locations:
        yield from _source(location, network, endpoint, access, report)
    for name, other in list(report.items())[1:]:
        first, expected = next(iter(report.items()))
        if other.passphrase != expected.passphrase:
            message = f"is of {other}, but {first} of {expected}: use sources of one network"
            yield Finding(name, "broken", message)


def _source(
    location: str,
    network: str | None,
    endpoint: str | None,
    access: SourceAccess | None,
    told: dict[str, Network],
) -> Iterator[Finding]:
    name = redacted_url(location)
    try:
        opened = registry.open_source(location, endpoint=endpoint, access=access, policy=_POLICY)
        with closing(opened) as source:
            name = source.name if isinstance(source, Named) else name
            known = source.network()
            if known:
                told[name] = known
            if known or network:
                registry.find_network(source, network)
            if isinstance(source, Pingable):
                yield Finding(name, "ok", "answers", latency_ms=_latency(source.ping))
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
    with closing(_chunks(source, wanted)) as chunks:  # type: ignore[type-var]  # they are generators
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
    if isinstance(source, Live) and age > source.max_age_seconds:
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
    """Ask a sink how its place is, without changing what it holds."""
    name = redacted_url(place)
    try:
        # What it is opened for is not compared with what is there: nothing is written.
        options = registry.SinkOptions(network=Network.of("pubnet"))
        with closing(registry.open_sink(place, ["ledgers"], options)) as opened:
            if not isinstance(opened, Checked):
                yield Finding(name, "ok", "can be opened; this sink has no check of its own")
                return
            found = opened.health()
            yield Finding(name, found.state, found.message, found.latency_ms, found.mb_per_s)
    except StellarrowError as error:
        yield Finding(name, "broken", str(error))
