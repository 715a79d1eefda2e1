"""A run of the lifecycle: the plan made anew and taken step by step, each step a line of the audit log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from stellarrow.errors import Damaged, SinkError
from stellarrow.lifecycle.aging import AgingTable
from stellarrow.lifecycle.archive import Archive
from stellarrow.lifecycle.compressing import Busy, Merged
from stellarrow.lifecycle.free_space import Room, add_emergency
from stellarrow.lifecycle.plan import (
    ARCHIVE,
    COMPRESS,
    DELETE,
    DELETE_ARCHIVED,
    FINISH,
    Plan,
    Step,
    made_plan,
)
from stellarrow.lifecycle.policies import Policy
from stellarrow.lifecycle.steps import ArchiveOpener, Steps, merge_deleted
from stellarrow.records.lease import LeaseLost
from stellarrow.records.singleton import Confirm, unconfirmed
from stellarrow.security.audit_log import Audit, Event, NoAudit
from stellarrow.sinks.files.again import CHANCES
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.reading import found_tables
from stellarrow.sinks.files.superseding import Contradicted
from stellarrow.storage.files import FileStore, Gone

_TRIES: Final = 3  # failures in a row after which the rest of an action is not tried
_OF_ONE: Final = (Busy, Merged, Gone, Damaged, Contradicted)  # what fails a range, and tells of no other
_EVENTS: Final = {
    COMPRESS: "data compressed",
    ARCHIVE: "data archived",
    DELETE: "data deleted",
    DELETE_ARCHIVED: "data deleted",
    FINISH: "data removed after archiving or deleting",
}
Told = Callable[[Step, SinkError | None], None]


def _quiet(step: Step, error: SinkError | None) -> None:
    """Say nothing."""


@dataclass(slots=True)
class Report:
    """What a run did, and what it could not do."""

    done: list[Step] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    waiting: dict[str, str] = field(default_factory=dict)  # by table, what is old enough, and why it waits
    in_use: list[Step] = field(default_factory=list)  # somebody read their files: the next run takes them

    @property
    def freed(self) -> int:
        """Bytes that are no longer in the place."""
        return sum(step.bytes for step in self.done if step.action != DELETE_ARCHIVED)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        done = [step.to_dict() for step in self.done]
        return {
            "done": done,
            "freed_bytes": self.freed,
            "in_use": len(self.in_use),
            "problems": self.problems,
            "waiting": self.waiting,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """A place, the policies of its kinds of files, and where what ages goes; `who` is for the audit log.

    `confirm` is told of each write beforehand, and raises LeaseLost where it is another process's turn.
    """

    store: FileStore
    policies: Mapping[str, Policy]
    archive: Archive | None = None
    audit: Audit = field(default_factory=NoAudit)
    who: str = ""
    method: str = "stellarrow lifecycle"
    now: Callable[[], float] = time.time
    room: Room | None = None
    patience: float = 0.0  # seconds to wait in a run, all together, for those who read what is to go
    confirm: Confirm = unconfirmed

    def tables(self) -> tuple[list[AgingTable], list[str]]:
        """Look at every table once; return them, and what is wrong with others."""
        tables, problems = [], []
        for one in found_tables(self.store, departed=True):
            if isinstance(one, Listing):
                tables.append(AgingTable.look(one))
            else:
                problems.append(f"{one.folder}: {one.error}")
        return tables, problems

    def plan(self) -> Plan:
        """Say what is due now, and change nothing."""
        return self.planned()[0]

    def planned(self) -> tuple[Plan, dict[str, AgingTable]]:
        """Return the plan, and the tables it is of by their folders."""
        for _ in range(CHANCES):
            plan, tables = self._planned()
            if not plan.is_stale:
                break
        return plan, tables

    def _planned(self) -> tuple[Plan, dict[str, AgingTable]]:
        tables, problems = self.tables()
        has_archive = self.archive is not None
        now = int(self.now())
        plan = made_plan(tables, self.policies, has_archive=has_archive, now=now)
        if self.room:
            try:
                add_emergency(plan, tables, self.policies, self.room, has_archive=has_archive, now=now)
            except SinkError as error:
                plan.hindered("", error)
        plan.problems[:0] = problems
        return plan, {one.name: one for one in tables}

    def run(self, told: Told = _quiet, *, stopped: Callable[[], bool] = lambda: False) -> Report:
        """Do what is due. It may be stopped or killed at any moment; the next run continues."""
        report, opener = Report(), ArchiveOpener()
        steps = Steps(opener, self.archive, time.monotonic() + self.patience, stopped, self.confirm)
        went: set[str] = set()
        try:
            for _ in range(CHANCES):
                plan, tables = self.planned()
                report.problems, report.in_use = [*plan.problems], []
                report.waiting = plan.waiting
                now = self._take(plan, tables, steps, report, told=told, stopped=stopped)
                if now <= went or stopped():
                    break
                went |= now  # merged, or taken by another run, just now: look what is due of it still
        finally:
            opener.close()
            self._note("lifecycle run", str(self.store), _result(report))
        return report

    def _take(
        self,
        plan: Plan,
        tables: Mapping[str, AgingTable],
        steps: Steps,
        report: Report,
        *,
        told: Told,
        stopped: Callable[[], bool],
    ) -> set[str]:
        """Take the steps; return what was said of those whose files were not there any more."""
        failed: Counter[str] = Counter()
        went: set[str] = set()
        for step in plan.steps:
            if stopped():
                break
            if step.is_early and self.room and not self.room.lacking:
                continue
            if failed[step.action] < _TRIES:
                done, error = self._tried(step, tables[step.table], steps)
                told(done, error)
                if isinstance(error, Busy):
                    report.in_use.append(step)
                elif error:
                    if str(error) not in report.problems:
                        report.problems.append(str(error))
                    went |= {str(error)} if isinstance(error, Gone | Merged) else set()
                    failed[step.action] += not isinstance(error, _OF_ONE)
                else:
                    failed[step.action] = 0
                    report.done.append(done)
        for action, times in failed.items():
            if times >= _TRIES:
                report.problems.append(f"after {times} failures in a row no further {action} was tried")
        self._tidy({step.table for step in report.done if step.action not in (ARCHIVE, COMPRESS)})
        return went

    def _tried(self, step: Step, table: AgingTable, steps: Steps) -> tuple[Step, SinkError | None]:
        """Take a step; return it with the bytes that it freed."""
        target = f"{self.store}/{step.table} {step.ledgers}"
        try:
            done = steps.take(step, table)
        except LeaseLost:
            raise
        except SinkError as error:
            self._note(_EVENTS[step.action], target, f"{type(error).__name__}: {error}")
            return step, error
        self._note(_EVENTS[step.action], target, "ok")
        return done, None

    def _tidy(self, names: set[str]) -> None:
        for table in self.tables()[0] if names else ():
            if table.name in names:
                self.confirm(f"tidy {table.name}")
                with suppress(SinkError):  # many records say the same as one
                    merge_deleted(table)

    def _note(self, event: str, target: str, result: str) -> None:
        self.audit.record(
            Event(
                event=event,
                principal=self.who,
                method=self.method,
                address="",
                target=target,
                result=result,
                request_id="",
            )
        )


def _result(report: Report) -> str:
    done = Counter(step.action for step in report.done)
    if report.in_use:
        done["in use"] = len(report.in_use)
    words = ", ".join(f"{action} {times}" for action, times in sorted(done.items()))
    return f"{words or 'nothing due'}; {len(report.problems)} problems" if report.problems else words or "ok"
