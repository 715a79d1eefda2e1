"""One extraction, as it was asked for: run, foretold or verified, and what is told of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from stellarrow import registry
from stellarrow.cli import signals
from stellarrow.cli.output import formatting, progress_bar
from stellarrow.cli.output.outcome import Outcome
from stellarrow.cli.typed_tables import typed_tables
from stellarrow.config import Extract
from stellarrow.config.saved_queries import catalogue
from stellarrow.core.options import DecodeOptions
from stellarrow.core.tables import table
from stellarrow.errors import ConfigError
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.net.redaction import redacted_url
from stellarrow.pipeline import loop
from stellarrow.pipeline.commits import covered_ledgers
from stellarrow.pipeline.dead_letters import FOLDER, DeadLetters
from stellarrow.protocols import Aged, Listed, Measured, Shared, Sink, Source
from stellarrow.telemetry.trace_export import exported

_log: Final = logging.getLogger(__name__)
_LISTED: Final = 100_000  # ledgers that a dry run looks for one by one


class Job:
    """Ledgers of a source into tables in sinks."""

    def __init__(self, source: Source, settings: Extract) -> None:
        self._source = source
        self._settings = settings
        network = registry.find_network(source, settings.network)
        self._typed, self._tables = typed_tables(source, settings, network)
        for name in self._tables:
            table(name)
        self._options = DecodeOptions(
            network=network,
            typed=self._typed.tables if self._typed else None,
            where=_where(settings, self._tables),
            decoded=settings.decoded,
            transfers=settings.transfers,
            verify_chain=settings.verify_chain,
            verify_hashes=settings.verify_hashes,
        )
        self._wanted: LedgerSet | None = None

    def open_sink(self, place: str) -> Sink:
        options = registry.SinkOptions.of(
            self._options,
            expected=self.wanted,
            instance_credentials=self._settings.instance_credentials,
        )
        return registry.open_sink(place, self._tables, options)

    def wanted(self) -> LedgerSet:
        """Return which ledgers are asked for; what depends on the source is asked once."""
        if self._wanted is None:
            self._wanted = loop.wanted_ledgers(self._source, self._settings.ledgers)
        return self._wanted

    def choose_shard(self, sinks: Sequence[Sink]) -> None:
        """Want only the ledgers of the shard that is asked for, if one is."""
        if self._settings.shard:
            from stellarrow.backfilling.plan import ShardNumber, shard_of  # noqa: PLC0415  few have shards

            number = ShardNumber.parse(self._settings.shard)
            self._wanted = shard_of(self._source, sinks, self.wanted(), number)

    def run(self, sinks: Sequence[Sink]) -> Outcome:
        wanted = self.wanted()
        self._warn_of_others(sinks)
        letters = self._dead_letters()
        with (
            exported("stellarrow-extract"),
            signals.stopping() as stop,
            progress_bar.shown("extract", stop.event) as progress,
        ):
            report = self._extract(
                sinks,
                wanted,
                progress=progress,
                stop=stop.event,
                dead_letters=letters if self._settings.on_error == "quarantine" else None,
            )
        letters.close_gaps(report.ranges)
        gaps = LedgerSet() if self._settings.ledgers else wanted.holes
        archived, deleted = _left(sinks, wanted - report.ranges)
        return Outcome(
            _summary(report, gaps, archived, deleted),
            {
                "ledgers": report.ledgers,
                "bytes": report.bytes,
                "rows": report.rows,
                "seconds": round(report.seconds, 3),
                "skipped": report.skipped,
                "archived": str(archived),
                "deleted": str(deleted),
                "ranges": str(report.ranges),
                "gaps": str(gaps),
                "quarantined": str(report.quarantined),
                "stopped": report.stopped,
            },
            stop.exit_code if report.stopped else 0,
        )

    def _warn_of_others(self, sinks: Sequence[Sink]) -> None:
        """Say where another process may be doing the same work."""
        for place, sink in zip(self._settings.to, sinks, strict=False):
            if not self._settings.shard and isinstance(sink, Shared) and sink.is_written_beside():
                _log.warning(
                    "another process writes to %s just now: what both extract is kept once, and the work is"
                    " done twice; give each ledgers of its own, with --ledgers or --shard",
                    redacted_url(place),
                )

    def _dead_letters(self) -> DeadLetters:
        settings = self._settings
        job = {
            "source": [redacted_url(place) for place in (settings.source or "", *settings.rpc) if place],
            "cwd": str(Path.cwd()),
            "to": [redacted_url(place) for place in settings.to],
            "tables": self._tables,
            "network": self._options.network.passphrase,
            "where": str(self._options.where or ""),
            "decoded": settings.decoded,
            "transfers": settings.transfers,
        }
        if settings.verify_hashes is not None:  # letters of earlier versions do not have it
            job["verify_hashes"] = settings.verify_hashes
        return DeadLetters(settings.state_dir / FOLDER, job=job)

    def _extract(
        self, sinks: Sequence[Sink], ledgers: LedgerSet, *, verify_hashes: bool | None = None, **choices: Any
    ) -> loop.Report:
        settings = self._settings
        asked = settings.verify_hashes if verify_hashes is None else verify_hashes
        options = replace(self._options, verify_hashes=asked)
        is_followed = self._typed and loop.is_open(ledgers)
        followed = self._typed.followed(self._tables, options) if self._typed and is_followed else None
        return loop.run(
            followed.noted_by(self._source) if followed else self._source,
            decoder=followed,
            tables=self._tables,
            sinks=sinks,
            options=options,
            limits=loop.Limits(settings.workers, settings.budget_mb, settings.commit_every),
            ledgers=ledgers,
            **choices,
        )

    def estimate(self, sinks: Sequence[Sink]) -> Outcome:
        """Say what run would do; the time comes from extracting the first ledgers into a temporary folder."""
        from stellarrow.sources.stdin import StdinSource  # noqa: PLC0415  a dry run alone asks

        if isinstance(self._source, StdinSource):
            raise ConfigError("stdin passes only once: save it to a file to try --dry-run")
        held = self._source.available()
        wanted = self.wanted()
        if loop.is_open(wanted):
            if loop.is_open(held):
                raise ConfigError("the source has no end that is known: give --ledgers A:B to try --dry-run")
            wanted &= LedgerSet([LedgerRange(0, held.last)])
        missing = wanted - covered_ledgers(sinks)
        absent = self._absent(missing, held)
        eta, plain = self._foretold(missing - absent) if missing - absent else (0.0, 0)
        stored = self._source.stored_bytes(missing) if isinstance(self._source, Measured) else None
        gaps = LedgerSet() if self._settings.ledgers else wanted.holes
        absent |= gaps
        begins = held.first if held and absent and absent.first < held.first else None
        left = _left(sinks, wanted - missing)
        return _estimate_text(
            missing - absent,
            wanted - missing,
            absent,
            left,
            begins=begins,
            stored=stored,
            plain=plain,
            eta=eta,
        )

    def _foretold(self, missing: LedgerSet) -> tuple[float, int]:
        """Return the seconds and the bytes of XDR that all would take, by extracting a part of them."""

        from stellarrow.cli import dry_run  # noqa: PLC0415  few are

        def extract(sample: LedgerSet) -> loop.Report:
            with TemporaryDirectory() as folder, ExitStack() as stack:
                places = dry_run.stand_ins(self._settings.to, Path(folder))
                sinks = [stack.enter_context(closing(self.open_sink(place))) for place in places]
                return self._extract(sinks, sample)

        found = dry_run.foretell(self._source, missing, extract)
        return found.seconds + dry_run.database_seconds(self._settings.to, found.rows), found.bytes

    def _absent(self, missing: LedgerSet, held: LedgerSet) -> LedgerSet:
        """Return what the source lacks of the ledgers, with its holes where they are few enough to list."""
        absent = missing - held
        source = self._source
        if isinstance(source, Listed) and 0 < (missing - absent).count <= _LISTED:
            there = source.held(missing - absent)
            if there is not None:
                absent |= missing - absent - there
        return absent

    def verify(self, sinks: Sequence[Sink]) -> Outcome:
        """Compare the rows of every ledger and table in the sinks with what the source makes of it."""
        from stellarrow.cli.output import row_counts  # noqa: PLC0415  few verify, and it takes all of reading
        from stellarrow.verification.row_counts import RowCountComparison  # noqa: PLC0415  as above
        from stellarrow.verification.stored_tables import stored_tables  # noqa: PLC0415  as above

        wanted = self.wanted()
        covered = covered_ledgers(sinks) & wanted
        readable = covered & self._source.available()
        comparison = RowCountComparison(
            {name: table(name).name for name in self._tables},
            [one for place in self._settings.to for one in stored_tables(place)],
            readable,
        )
        with (
            closing(comparison),
            signals.stopping() as stop,
            progress_bar.shown("verify", stop.event) as progress,
        ):
            report = self._extract(
                [comparison],
                readable,
                verify_hashes=self._settings.verify_hashes is not False,
                progress=progress,
                stop=stop.event,
            )
        lacking = LedgerSet() if loop.is_open(wanted) else wanted - covered
        answer = row_counts.compared(comparison, report, lacking=lacking, unreadable=covered - readable)
        return replace(answer, exit_code=stop.exit_code) if report.stopped else answer


def _where(settings: Extract, tables: Sequence[str]) -> Filter | None:
    where = Filter(
        contract_ids=settings.contract_ids,
        asset_codes=settings.asset_codes,
        asset_issuers=settings.asset_issuers,
        event_names=settings.event_names,
        event_types=settings.event_types,
        accounts=settings.accounts,
        include_deleted=settings.include_deleted,
        where=settings.where or "",
        select=settings.select or "",
    )
    if settings.filter or settings.projection:
        known = catalogue(settings.file)
        where = known.filtered(where, settings.filter, tables, decoded=settings.decoded)
        where = known.projected(where, settings.projection, tables, decoded=settings.decoded)
    return where if str(where) else None


def _estimate_text(
    missing: LedgerSet,
    there: LedgerSet,
    absent: LedgerSet,
    left: tuple[LedgerSet, LedgerSet],
    *,
    begins: int | None,
    stored: int | None,
    plain: int,
    eta: float,
) -> Outcome:
    size = f"{formatting.size(plain)} of XDR" if stored is None else f"{formatting.size(stored)} stored"
    lines = [
        f"would extract {formatting.many(missing.count, 'ledger')}"
        + (f" ({formatting.ranges(missing)})" if missing else "")
        + f", {size}, in about {formatting.seconds(eta)}",
        f"already there: {formatting.many((there - left[0] - left[1]).count, 'ledger')}",
    ]
    if aged := _aged(*left):
        lines.append(aged)
    if absent:
        many = formatting.many(absent.count, "ledger")
        lines.append(f"missing in the source: {formatting.ranges(absent)} ({many})")
    if begins is not None:
        lines.append(f"the source begins with ledger {begins}: start there, with {begins}:")
    return Outcome(
        "\n".join(lines),
        {
            "ledgers": missing.count,
            "ranges": str(missing),
            "stored_bytes": stored,
            "xdr_bytes": plain,
            "skipped": there.count,
            "archived": str(left[0]),
            "deleted": str(left[1]),
            "missing": str(absent),
            "missing_ledgers": absent.count,
            "eta_seconds": round(eta, 1),
        },
    )


def _left(sinks: Sequence[Sink], skipped: LedgerSet) -> tuple[LedgerSet, LedgerSet]:
    """Return which of the ledgers that were skipped were archived, and which were deleted."""
    archived, deleted = LedgerSet(), LedgerSet()
    for sink in sinks:
        if isinstance(sink, Aged):
            more, gone = sink.left()
            archived, deleted = archived | more, deleted | gone
    return (archived - deleted) & skipped, deleted & skipped


def _aged(archived: LedgerSet, deleted: LedgerSet) -> str:
    """Say in a line what was too old to be kept; empty where nothing was."""
    parts = [
        f"{formatting.many(ledgers.count, 'ledger')} {what} ({formatting.ranges(ledgers)})"
        for ledgers, what in ((archived, "archived"), (deleted, "deleted"))
        if ledgers
    ]
    return (
        f"not fetched again, as they were too old: {', '.join(parts)}; see docs/lifecycle.md" if parts else ""
    )


def _summary(report: loop.Report, gaps: LedgerSet, archived: LedgerSet, deleted: LedgerSet) -> str:
    there = max(0, report.skipped - archived.count - deleted.count)
    skipped = f", {formatting.many(there, 'ledger')} already there" if there else ""
    lines = [aged] if (aged := _aged(archived, deleted)) else []
    if report.stopped:
        lines.append("stopped as asked: the same command line continues from there")
    if report.quarantined:
        many = formatting.many(report.quarantined.count, "ledger")
        lines.append(
            f"quarantined: {many} ({formatting.ranges(report.quarantined)}), see stellarrow dlq list"
        )
    if gaps:
        lines.append(f"not in the source: {formatting.ranges(gaps)}")
    if not report.ledgers:
        return "\n".join([f"nothing to do{skipped}" if not lines else f"nothing new{skipped}", *lines])
    speed = report.bytes / max(report.seconds, 1e-9) / 1e6
    done = (
        f"{formatting.many(report.ledgers, 'ledger')} ({formatting.ranges(report.ranges)}) in"
        f" {formatting.seconds(report.seconds)}, {speed:,.0f} MB/s{skipped}"
    )
    return "\n".join([done, f"rows: {formatting.columns(report.rows)}", *lines])
