"""How a processor is, over HTTP: its health by parts, and /sessions for people who watch."""

from __future__ import annotations

import re
import shutil
from typing import Any, Final

from stellarrow.errors import StellarrowError
from stellarrow.extras import needing
from stellarrow.processor.processor import Processor
from stellarrow.processor.reads import places
from stellarrow.processor.reads.figures import summed_up
from stellarrow.processor.replicas import Replicas
from stellarrow.processor.session import Status
from stellarrow.processor.session_worker import SessionWorker
from stellarrow.security.access import Access, status_result
from stellarrow.security.permissions import Permission
from stellarrow.servers import figures_metrics
from stellarrow.servers.http import guards_of
from stellarrow.telemetry.health import Check, Component

with needing("HTTP", "servers"):
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    from stellarrow.servers.http_access import grant_of
    from stellarrow.servers.problems import problem


_PORT: Final = re.compile(r"^(ipv[46]:.*):\d+$")  # of a peer, which each connection has another of


class Sessions:
    """The sessions as a part of the service; what failed, or was left out, since the start degrades it."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor

    def check(self) -> Check:
        every = self._processor.works()
        works = [work for work in every if not work.session.status.is_final]
        of_now = [work for work in every if not work.is_past or work.lost]
        failed = [work for work in of_now if work.session.status is Status.ERROR]
        to_dict = ((work.session.id, work.message) for work in of_now)
        trouble = [f"{name}: {message}" for name, message in to_dict if message]
        return Check(
            "sessions",
            not trouble,
            "; ".join(trouble),
            {
                "active": len(works),
                "failed": len(failed),
                "left_out": sum(work.left_out.count for work in every),
                "entries_per_second": round(sum(work.rate.per_second for work in works), 1),
                "decode_p99_ms": round(self._processor.slots.took.percentile(0.99) * 1_000, 3),
                "commit_p99_ms": round(self._processor.commits.percentile(0.99) * 1_000, 3),
            },
            essential=False,
        )


class Stored:
    """What is on the disk, as far as somebody read it: damage there is for people to repair."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor

    def check(self) -> Check:
        damage = self._processor.damage
        return Check("stored", not damage, "; ".join(damage), {"damaged": len(damage)})


class SpoolDisk:
    """The place where sessions keep their output."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor

    def check(self) -> Check:
        folder = self._processor.options.state_dir
        try:
            free = shutil.disk_usage(folder).free
        except OSError as error:
            return Check("spool", False, f"{folder} cannot be used ({error.strerror}): repair or mount it")
        spools = [work.spool for work in self._processor.works() if work.spool]
        full = sum(spool.is_full for spool in spools)
        return Check(
            "spool",
            full == 0,
            f"{full} of {len(spools)} are full of what readers have not taken" if full else "",
            {
                "bytes": sum(spool.size_bytes for spool in spools),
                "free_bytes": free,
                "readers": sum(len(spool.readers) for spool in spools),
            },
            essential=False,
        )


class Ranges:
    """The ranges that are decoded on demand."""

    def __init__(self, processor: Processor) -> None:
        self._slots = processor.ranges

    def check(self) -> Check:
        held, idle = self._slots.held, self._slots.idle
        is_full = len(held) >= self._slots.count
        names = ", ".join(slot.name for slot in idle)
        message = (
            f"{len(held)} of {self._slots.count} ranges are being decoded, of which {len(idle)} for readers"
            f" that have taken nothing for {self._slots.patience:g} s ({names}): they end when another one"
            " waits"
        )
        is_well = not (is_full and idle)
        metrics = {"active": len(held), "idle": len(idle), "waiting": self._slots.waiting}
        return Check("ranges", is_well, "" if is_well else message, metrics, essential=False)


class Sources:
    """The servers that sessions read from; it is their guards who know."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor

    def check(self) -> Check:
        sources = [work.source for work in self._processor.works() if work.source]
        checks = [guard.check() for source in sources for guard in guards_of(source)]
        bad = [check for check in checks if not check.healthy]
        message = bad[0].message if bad else ""
        return Check("source", not bad, message, {"connections": len(checks)}, essential=False)


class Shared:
    """The record that replicas share: without it, what is known here goes on, and nothing new begins."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas

    def check(self) -> Check:
        return Check("shared sessions", not self._replicas.trouble, self._replicas.trouble, essential=False)


def components(processor: Processor) -> list[Component]:
    """Return what /health shows of a processor."""
    return [
        *([Shared(processor.replicas)] if processor.replicas else []),
        Sessions(processor),
        Stored(processor),
        SpoolDisk(processor),
        Ranges(processor),
        Sources(processor),
    ]


def metrics(processor: Processor) -> bytes:
    """Return Prometheus text, with what only shows when asked for."""
    behind = _behind(processor)
    processor.metrics.queue_depth.set(max(behind.values(), default=0))
    processor.metrics.reader_lag.clear()  # those who have gone
    for labels, ledgers in behind.items():
        processor.metrics.reader_lag.labels(*labels).set(ledgers)
    lags = [work.lag for work in processor.works()]
    processor.metrics.ledger_lag.set(min((lag for lag in lags if lag is not None), default=0))
    missing = sum(work.left_out.count for work in processor.works() if not work.is_past)
    processor.metrics.missing_ledgers.labels("sessions", "").set(missing)
    figures_metrics.measure(processor)
    return processor.metrics.text()


def _behind(processor: Processor) -> dict[tuple[str, str], int]:
    """Return how many ledgers each reader is behind with a table; those of one machine are one reader."""
    found: dict[tuple[str, str], int] = {}
    for work in processor.works():
        for reader in _readers(work):
            name, table, _ = reader["name"].rsplit(" ", 2)
            key = (_PORT.sub(r"\1", name), table)
            found[key] = max(found.get(key, 0), reader["behind"])
    kept = {(one["name"], one["table"]): one["behind"] for one in places.described(processor)}
    return found | kept


def routes(processor: Processor, access: Access | None = None) -> list[Route]:
    """Return /sessions with rates, rows and readers, /analytics of one, and /readers, those with a name."""

    def sessions(_: Request) -> Response:
        return JSONResponse([to_dict(work) for work in processor.works()])

    def figures(_: Request) -> Response:
        return JSONResponse(summed_up(processor))

    def readers(_: Request) -> Response:
        return JSONResponse(places.described(processor))

    def remove(request: Request) -> Response:
        name, refused = request.path_params["name"], None
        of_table, grant = request.query_params.get("table", ""), grant_of(request)
        try:
            if access and places.is_of_another(processor, grant.owner, name, of_table):
                access.permit(grant, Permission.WRITE_LEDGERS)
            places.remove(processor, name, of_table)
        except StellarrowError as error:
            refused = error
        if access:
            access.done(grant, target=name, result=status_result(refused))
        return problem(refused, request.scope) if refused else Response(status_code=204)

    return [
        Route("/sessions", sessions),
        Route("/analytics", figures),
        Route("/readers", readers),
        Route("/readers/{name}", remove, methods=["DELETE"]),
    ]


def to_dict(work: SessionWorker) -> dict[str, Any]:
    """Say all there is about a session; lag is in seconds, behind in ledgers."""
    session, spool = work.session, work.spool
    counts = session.counts
    return {
        "id": session.id,
        "status": session.status.name,
        "first": session.ledgers.first,
        "last": session.ledgers.last,
        "current": session.current,
        "message": work.message,
        "lag": work.lag,
        "ledgers": counts.ledgers,
        "entries": counts.entries,
        "skipped": counts.skipped,
        "left_out": str(work.left_out),
        "bytes": counts.bytes,
        "entries_per_second": work.rate.per_second,
        "rows": dict(work.rows),
        "spool_bytes": spool.size_bytes if spool else 0,
        "readers": _readers(work),
    }


def _readers(work: SessionWorker) -> list[dict[str, Any]]:
    spool = work.spool
    if spool is None:
        return []
    first = work.session.ledgers.first - 1
    return [
        {"name": name, "behind": max(0, spool.last - max(after, first))}
        for name, after in spool.readers.items()
    ]
