"""The lifecycle of the stored tables a service reads: runs on a schedule and when asked, one at a time."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from stellarrow.config.lifecycle import Aging as Settings
from stellarrow.errors import ConfigError, SinkError, StellarrowError
from stellarrow.lifecycle.archive import archive_location
from stellarrow.lifecycle.compressing import Busy
from stellarrow.lifecycle.opening import opened, policies_of
from stellarrow.lifecycle.plan import DELETE_ARCHIVED, Step
from stellarrow.lifecycle.policies import KINDS
from stellarrow.lifecycle.run import Lifecycle, Report
from stellarrow.lifecycle.status import status_of
from stellarrow.net.redaction import redacted_url
from stellarrow.records.lease import LeaseHeld
from stellarrow.records.singleton import singly
from stellarrow.security.audit_log import Audit
from stellarrow.telemetry.health import Check
from stellarrow.telemetry.metrics import Metrics

_SHOWN: Final = 100  # problems of a run
_LOOK_SECONDS: Final = 30.0  # between looks at the clock, which may be set
_PATIENCE: Final = 60.0  # seconds of a run for readers, of which this service is one
_END_SECONDS: Final = 10.0  # for the step in hand
_BY_ITSELF: Final = "the schedule"
_log: Final = logging.getLogger("stellarrow.lifecycle")


@dataclass(slots=True)
class Run:
    """One run, as it goes on; `state` is running, done, stopped or failed."""

    number: int
    by: str
    began: datetime
    ended: datetime | None = None
    state: str = "running"
    done: Counter[str] = field(default_factory=Counter)
    freed: int = 0
    in_use: int = 0  # ranges that somebody read: the next run takes them
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "id": self.number,
            "by": self.by,
            "state": self.state,
            "began": _shown(self.began),
            "ended": _shown(self.ended),
            "done": dict(self.done),
            "freed_bytes": self.freed,
            "in_use": self.in_use,
            "problems": self.problems[:_SHOWN],
        }


class AgingPlace:
    """The lifecycle of a place that may be yet to come; what cannot be meant is told at once."""

    def __init__(self, settings: Settings, place: str, *, metrics: Metrics, audit: Audit) -> None:
        policies_of(settings)
        if settings.archive:
            archive_location(settings.archive, place)
        self._settings = settings
        self._place = place
        self._metrics = metrics
        self._audit = audit
        self._schedule = None
        if settings.schedule is not None:
            from stellarrow.lifecycle.schedule import Schedule  # noqa: PLC0415  an extra

            self._schedule = Schedule.parse(settings.schedule, settings.origin("schedule"))
        self._lock = threading.Lock()
        self._run: Run | None = None
        self._thread: threading.Thread | None = None
        self._stop_run = threading.Event()
        self._closing = threading.Event()
        self._clock: threading.Thread | None = None
        self._due: datetime | None = None

    def start(self) -> None:
        """Begin to wait for the schedule, if there is one."""
        if self._schedule:
            self._due = self._schedule.after(datetime.now(UTC))
            self._clock = threading.Thread(target=self._wait, name="stellarrow-schedule", daemon=True)
            self._clock.start()

    def _wait(self) -> None:
        while self._schedule and self._due and not self._closing.is_set():
            left = (self._due - datetime.now(UTC)).total_seconds()
            if left > 0:
                self._closing.wait(min(left, _LOOK_SECONDS))
                continue
            if self.begin(_BY_ITSELF) is None:
                _log.warning("the lifecycle run before is at it still: this one is left out")
            self._due = self._schedule.after(datetime.now(UTC))

    def status(self) -> Mapping[str, Any]:
        with self._opened("") as lifecycle:
            found, problems = status_of(lifecycle)
        settings = self._settings
        return {
            "place": redacted_url(self._place),
            "archive": settings.archive,
            "policies": {kind: str(vars(settings)[name]) for kind, name in KINDS.items()},
            "schedule": settings.schedule,
            "next_run": _shown(self._due),
            "last_run": self.last_run(),
            "tables": [one.to_dict() for one in found],
            "problems": problems,
        }

    def plan(self, limit: int) -> Mapping[str, Any]:
        with self._opened("") as lifecycle:
            plan = lifecycle.plan()
        return {
            "place": redacted_url(self._place),
            "steps": [step.to_dict() for step in plan.steps[:limit]],
            "total_steps": len(plan.steps),
            "total_bytes": sum(step.bytes for step in plan.steps),
            "problems": plan.problems,
        }

    def begin(self, who: str) -> Mapping[str, Any] | None:
        with self._lock:
            if self._closing.is_set() or (self._run and self._run.state == "running"):
                return None
            number = self._run.number + 1 if self._run else 1
            run = self._run = Run(number, who, datetime.now(UTC))
            self._stop_run.clear()
            self._thread = threading.Thread(
                target=self._work, args=(run,), name="stellarrow-lifecycle", daemon=True
            )
            self._thread.start()
        return run.to_dict()

    def stop(self) -> Mapping[str, Any] | None:
        with self._lock:
            run = self._run
            if run is None or run.state != "running":
                return None
            self._stop_run.set()
        return run.to_dict()

    def last_run(self) -> Mapping[str, Any] | None:
        return self._run.to_dict() if self._run else None

    def check(self) -> Check:
        """Say for /health how the last run went."""
        run = self._run
        trouble = run.problems[0] if run and run.problems else ""
        metrics: dict[str, float | int | str | None] = {}
        if run:
            metrics = {"run": run.number, "state": run.state}
        return Check("lifecycle", not trouble, trouble, metrics, essential=False)

    def close(self) -> None:
        """Let a run end after the step it is at, and wait for no other; twice is harmless."""
        self._closing.set()
        self._stop_run.set()
        for thread in (self._clock, self._thread):
            if thread:
                thread.join(_END_SECONDS)

    def _opened(self, who: str) -> AbstractContextManager[Lifecycle]:
        return opened(
            self._settings,
            self._place,
            audit=self._audit,
            who=who,
            method="analytics service",
            patience=_PATIENCE,
        )

    def _work(self, run: Run) -> None:
        state = "failed"
        try:
            alone = singly(self._settings.lease, redacted_url(self._place), stopped=self._stop_run.wait)
            with self._opened(run.by) as lifecycle, alone as confirm:
                report = replace(lifecycle, confirm=confirm).run(
                    lambda step, error: self._took(run, step, error), stopped=self._is_asked
                )
            run.problems = report.problems
            state = "stopped" if self._is_asked() else _state(report)
        except LeaseHeld as error:
            state = "done"  # by another
            _log.info("%s", error)
        except StellarrowError as error:
            run.problems.append(str(error))
        except Exception as error:
            _log.exception("unexpected error in a lifecycle run")
            run.problems.append(f"an unexpected error, {type(error).__name__}: the log has more")
        finally:
            self._metrics.lifecycle_ended(state)
            run.ended = datetime.now(UTC)
            run.state = state
            _log.info("lifecycle run by %s: %s, %s freed", run.by, state, f"{run.freed:,} bytes")

    def _is_asked(self) -> bool:
        return self._stop_run.is_set()

    def _took(self, run: Run, step: Step, error: SinkError | None) -> None:
        if isinstance(error, Busy):
            run.in_use += 1
            return
        freed = 0 if error or step.action == DELETE_ARCHIVED else step.bytes
        self._metrics.lifecycle_took(step.action, failed=error is not None, freed=freed)
        if error is None:
            run.done[step.action] += 1
            run.freed += freed


def _state(report: Report) -> str:
    return "failed" if report.problems else "done"


def _shown(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def check_schedule(settings: Settings) -> None:
    """Refuse a schedule without stored tables that it could be of."""
    if settings.schedule:
        raise ConfigError(
            f"{settings.origin('schedule')} is set, and no stored tables are: name them with --data"
        )
