"""`stellarrow lifecycle`: what becomes of stored tables as they age."""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import click

from stellarrow.cli.groups import Verbs
from stellarrow.cli.options import Paged, option
from stellarrow.cli.output import formatting
from stellarrow.cli.output.said import say
from stellarrow.cli.setting_flags import options
from stellarrow.cli.signals import Stop, stopping
from stellarrow.config import Lifecycle as Settings
from stellarrow.errors import SinkError
from stellarrow.lifecycle.opening import opened
from stellarrow.lifecycle.plan import ARCHIVE, DELETE_ARCHIVED, Plan, Step
from stellarrow.lifecycle.run import Lifecycle
from stellarrow.lifecycle.status import TableStatus, status_of
from stellarrow.net.redaction import redacted_url
from stellarrow.records.lease import LeaseHeld
from stellarrow.records.singleton import singly
from stellarrow.security.audit_log import Audit, AuditLog, NoAudit

_EXAMPLE: Final = "\b\nExample:\n  stellarrow lifecycle "
_PAGE: Final = {"Options": ("archive", "parquet_policy", "json_policy", "csv_policy", "min_free")}
_RUN_PAGE: Final = {"Options": (*_PAGE["Options"], "schedule", "lease")}
_LOOK_SECONDS: Final = 30.0  # between looks at the clock, which may be set
_AUDIT: Final = "audit.jsonl"
_json: Final = option("--json", "as_json", is_flag=True, help="Print JSON.")
_place: Final = click.argument("place")


@click.group(
    cls=Verbs,
    short_help="Compress, archive and delete stored tables by age.",
    epilog=_EXAMPLE + "plan ./stellarrow-data --archive s3://bucket/old",
)
def command() -> None:
    """Compress files of stored tables, archive and delete them, when their ledgers are old enough.

    The age is that of the ledgers, not of the files. What left is told as such, and is not fetched again.
    """


@command.command("plan", cls=Paged, epilog=_EXAMPLE + "plan ./stellarrow-data --archive ./old")
@_place
@options(Settings, _PAGE)
@_json
def plan_command(settings: Settings, place: str, as_json: bool) -> int:
    """Name each file of PLACE that is due, and change nothing."""
    with _opened(settings, place, NoAudit()) as lifecycle:
        return _show_plan(lifecycle.plan(), place, as_json=as_json)


@command.command("run", cls=Paged, epilog=_EXAMPLE + "run ./stellarrow-data --archive ./old")
@_place
@option("--dry-run", is_flag=True, help="Name each file that is due, and change nothing.")
@options(Settings, _RUN_PAGE)
@_json
def run_command(settings: Settings, place: str, dry_run: bool, as_json: bool) -> int:
    """Do what is due in PLACE. It may be stopped at any moment; the next run continues."""
    if dry_run:
        with _opened(settings, place, NoAudit()) as lifecycle:
            return _show_plan(lifecycle.plan(), place, as_json=as_json)
    with ExitStack() as kept:
        audit = _audit(settings)
        kept.callback(audit.close)
        lifecycle = kept.enter_context(_opened(settings, place, audit))
        stop = kept.enter_context(stopping())
        if settings.schedule is None:
            return _run(lifecycle, place, stop, settings.lease, as_json=as_json)
        from stellarrow.lifecycle.schedule import Schedule  # noqa: PLC0415  an extra

        schedule = Schedule.parse(settings.schedule, settings.origin("schedule"))
        while _waited(stop, schedule.after(datetime.now(UTC))):
            _run(lifecycle, place, stop, settings.lease, as_json=as_json)
        return stop.exit_code


def _waited(stop: Stop, due: datetime) -> bool:
    """Wait until a run is due; False where the process is asked to end."""
    while (left := (due - datetime.now(UTC)).total_seconds()) > 0:
        if stop.event.wait(min(left, _LOOK_SECONDS)):
            return False
    return not stop.event.is_set()


def _run(lifecycle: Lifecycle, place: str, stop: Stop, lease: str | None, *, as_json: bool) -> int:
    try:
        with singly(lease, redacted_url(place), stopped=stop.event.wait) as confirm:
            alone = replace(lifecycle, confirm=confirm)
            report = alone.run(_silent if as_json else _say, stopped=stop.event.is_set)
    except LeaseHeld as error:
        say(str(error), err=as_json)
        return 0
    if as_json:
        say(json.dumps({"place": redacted_url(place), **report.to_dict()}))
        return 1 if report.problems else 0
    for problem in report.problems:
        say(problem, fg="red")
    steps = formatting.many(len(report.done), "range")
    if report.in_use:
        say(f"{len(report.in_use)} in use, taken next time", fg="yellow")
    say(
        f"{steps} done, {formatting.size(report.freed)} freed"
        if report.done or report.problems or report.in_use
        else "nothing is due"
    )
    _say_waiting(report.waiting)
    _warn(lifecycle, report.done)
    return 1 if report.problems else 0


def _warn(lifecycle: Lifecycle, steps: Sequence[Step]) -> None:
    """Say what the next run deletes of the archive: ledgers age by their own times, not by the archive's."""
    if not any(step.action == ARCHIVE for step in steps):
        return
    due = [step for step in lifecycle.plan().steps if step.action == DELETE_ARCHIVED]
    if due:
        many, size = formatting.many(len(due), "range"), formatting.size(sum(step.bytes for step in due))
        say(
            f"{many} in the archive ({size}) are old enough to be deleted: the next run does it, unless the"
            " policy keeps them, such as --parquet-policy 'archive 90d'",
            fg="yellow",
        )


@command.command("status", cls=Paged, epilog=_EXAMPLE + "status ./stellarrow-data")
@_place
@options(Settings, _PAGE)
@_json
def status_command(settings: Settings, place: str, as_json: bool) -> int:
    """Show of each table in PLACE what is here, archived, deleted and due."""
    with _opened(settings, place, NoAudit()) as lifecycle:
        found, problems = status_of(lifecycle)
    if as_json:
        report = {"place": redacted_url(place), "tables": [one.to_dict() for one in found]}
        say(json.dumps({**report, "problems": problems}))
    else:
        for one in found:
            _show_status(one)
        for problem in problems:
            say(problem, fg="red")
    return 1 if problems else 0


def _opened(settings: Settings, place: str, audit: Audit) -> AbstractContextManager[Lifecycle]:
    who = f"{getpass.getuser()} at the command line"
    return opened(settings, place, audit=audit, who=who, method="stellarrow lifecycle")


def _audit(settings: Settings) -> Audit:
    named = settings.audit_log or str(settings.state_dir / _AUDIT)
    return NoAudit() if named.lower() == "off" else AuditLog(named)


def _show_plan(plan: Plan, place: str, *, as_json: bool) -> int:
    if as_json:
        steps = [step.to_dict() for step in plan.steps]
        report = {"steps": steps, "problems": plan.problems, "waiting": plan.waiting}
        say(json.dumps({"place": redacted_url(place), **report}))
        return 1 if plan.problems else 0
    for step in plan.steps:
        for file in step.files or (f"{step.table}: the entry of ledgers {step.ledgers}",):
            say(f"{step.action}: {file}")
    for problem in plan.problems:
        say(problem, fg="red")
    many, size = formatting.many(len(plan.steps), "range"), sum(step.bytes for step in plan.steps)
    say(f"{many} due, {formatting.size(size)}" if plan.steps or plan.problems else "nothing is due")
    _say_waiting(plan.waiting)
    return 1 if plan.problems else 0


def _say_waiting(waiting: Mapping[str, str]) -> None:
    for table, why in waiting.items():
        say(f"{table}: {why}")


def _say(step: Step, error: SinkError | None) -> None:
    if error is None and step.stays:
        say(f"{step.action}: {step.table} {step.ledgers} stays as it was, as it becomes no smaller")
    elif error is None:
        say(f"{step.action}: {step.table} {step.ledgers}, {formatting.size(step.bytes)}")


def _silent(step: Step, error: SinkError | None) -> None:
    """Say nothing while it goes on."""


def _show_status(one: TableStatus) -> None:
    parts: list[Any] = [f"here {one.here or 'nothing'} ({formatting.size(one.bytes)})"]
    if one.archived:
        parts.append(f"archived {one.archived} in {', '.join(one.archives)}")
    if one.deleted:
        parts.append(f"deleted {one.deleted}")
    parts += [f"due to {action}: {ledgers}" for action, ledgers in one.due.items()]
    if one.next_due is not None:
        moment = formatting.instant(datetime.fromtimestamp(one.next_due, UTC))
        is_due = one.next_due <= time.time()
        since = f"the oldest is due since {moment}"
        parts.append(since if is_due else f"the next is due at {moment} or later")
    if one.waiting:
        parts.append(one.waiting)
    say(f"{one.table}: {'; '.join(map(str, parts))}")
