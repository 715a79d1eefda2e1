"""Exports in the background: one is written at a time, callers take turns, any number ask how they are."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from stellarrow.analysis.reads.reading import Tables
from stellarrow.analysis.reads.refusals import NotFound
from stellarrow.errors import ConfigError, SinkError, StellarrowError, Stopped, TooManyCalls, Unavailable
from stellarrow.servers.analytics_exports import parts
from stellarrow.servers.analytics_exports.asked import read
from stellarrow.servers.analytics_exports.folder import ExportFolder
from stellarrow.servers.analytics_exports.job import DONE, FAILED, RUNNING, WAITING, File, Job, new_id
from stellarrow.servers.analytics_exports.sql import SqlAnswers
from stellarrow.servers.analytics_exports.turns import Turns
from stellarrow.storage.os_errors import is_passing, reason
from stellarrow.telemetry.metrics import Metrics

MOST_KEPT: Final = 200
MOST_WAITING: Final = 32  # with the one that is written
MOST_OF_ONE: Final = 8  # of these, of one caller
_RETRY_SECONDS: Final = 2.0
_TRIES: Final = 30  # of what is away for a while
_LOOK_SECONDS: Final = 5.0  # between looks at what has expired
_CLOSE_SECONDS: Final = 5.0
_log: Final = logging.getLogger("stellarrow.export")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where exports lie, how much disk they take, and for how many seconds they are kept."""

    path: Path
    most_bytes: int
    age: float


class Exporter:
    """Takes orders, writes them one after another, and remembers them over restarts and kills."""

    def __init__(self, tables: Tables, settings: Settings, metrics: Metrics) -> None:
        self._tables = tables
        self._settings = settings
        self._metrics = metrics
        self._folder = ExportFolder(settings.path)
        self._answers = SqlAnswers(tables)
        self._jobs: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._is_loaded = self._is_told = self._stopping = False
        self._turns = Turns()
        self._tries = 0
        self._not_before = 0.0
        self._thread = threading.Thread(target=self._run, name="stellarrow-exports", daemon=True)

    def start(self) -> None:
        """Go on with what was not finished."""
        with self._changed:
            self._take_over()
        self._thread.start()

    def close(self) -> None:
        """End; what was being written goes on at the next start."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._answers.close()
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_SECONDS)
        self._folder.close()

    def create(self, given: Mapping[str, Any], owner: str) -> Job:
        """Take an order."""
        asked = read(given, self._tables)
        with self._changed:
            self._check_room(owner)
        if "sql" in asked.query:
            self._answers.check(asked.query)
        with self._changed:
            self._check_room(owner)
            job = Job(
                id=new_id(),
                owner=owner,
                format=asked.format,
                query=asked.query,
                as_of=asked.as_of,
                ledgers=asked.ledgers,
                gaps=asked.gaps,
                created_at=int(time.time()),
            )
            try:
                self._folder.begin(job)
            except OSError as error:
                self._count(job, error)
                raise Unavailable(_refusal(error), retry_after=30.0) from error
            self._jobs[job.id] = job
            self._changed.notify_all()
        return job

    def _check_room(self, owner: str) -> None:
        """Refuse one export more of a caller where there are too many."""
        self._own()
        waiting = [one for one in self._jobs.values() if not one.is_finished]
        own = sum(one.owner == owner for one in waiting)
        if len(waiting) >= MOST_WAITING or own >= MOST_OF_ONE:
            raise TooManyCalls(f"{len(waiting)} exports wait already, {own} of them yours: ask later", 30.0)
        if len(self._jobs) >= MOST_KEPT:
            raise TooManyCalls(f"{len(self._jobs)} exports are kept, which is the most: delete some", 30.0)

    def all(self, owner: str | None) -> list[Job]:
        """Return the exports of a caller, of everybody where none is named, the newest first."""
        with self._changed:
            self._own()
            found = [one for one in self._jobs.values() if owner in (None, one.owner)]
        return sorted(found, key=lambda one: (-one.created_at, one.id))

    def get(self, job_id: str, owner: str | None) -> Job:
        """Return an export; NotFound where there is none, or it is another's."""
        with self._changed:
            self._own()
            job = self._jobs.get(job_id)
        if job is None or owner not in (None, job.owner):
            raise NotFound("there is no such export here: it may have expired", field="export")
        return job

    def file(self, job_id: str, name: str, owner: str | None) -> tuple[File, Path]:
        """Return a file of an export, and where it is."""
        job = self.get(job_id, owner)
        found = next((one for one in job.files if one.name == name), None)
        if found is None:
            raise NotFound("this export has no such file", field="name")
        return found, self._folder.file(job, found)

    def remove(self, job_id: str, owner: str | None) -> None:
        """Forget an export with its files; one that is being written ends."""
        job = self.get(job_id, owner)
        with self._changed:
            self._jobs.pop(job.id, None)
            self._changed.notify_all()
            if job.state != RUNNING:
                self._folder.remove(job.id)

    def _own(self) -> None:
        if self._stopping:
            raise Unavailable("the server is shutting down: ask again when it is back")
        if not self._is_loaded and not self._load():
            raise Unavailable(
                "another process of this machine has the folder of exports: ask that one, or choose another"
                " folder with EXPORT_PATH"
            )

    def _take_over(self) -> None:
        """Go on with what is there, as soon as no other process has it; say once where another has."""
        if self._is_loaded or not self._folder.exists:
            return
        if not self._load():
            if not self._is_told:
                _log.warning(
                    "another process has the folder of exports %s: this one answers exports with 503 until"
                    " that ends; give each its own STATE_DIR or EXPORT_PATH",
                    self._folder.path,
                )
            self._is_told = True
        elif self._is_told:
            _log.info("the folder of exports %s is this process's now", self._folder.path)

    def _load(self) -> bool:
        try:
            if not self._folder.take():
                return False
            for job in self._folder.jobs():
                self._jobs[job.id] = replace(job, state=WAITING) if job.state == RUNNING else job
        except OSError as error:
            raise Unavailable(_refusal(error), retry_after=30.0) from error
        self._is_loaded = True
        self._changed.notify_all()
        return True

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                self._write(job)
            except Exception:
                _log.exception("unexpected error in export %s", job.id)
                self._fail(job, "an unexpected error: the log has more")

    def _next(self) -> Job | None:
        """Return the export whose turn it is, and None once the service ends."""
        with self._changed:
            while not self._stopping:
                with suppress(Unavailable):  # who asks for an export is told
                    self._take_over()
                self._expire(time.time())
                waiting = [one for one in self._jobs.values() if one.state == WAITING]
                if waiting and time.monotonic() >= self._not_before:
                    job = replace(self._turns.next(waiting), state=RUNNING)
                    self._jobs[job.id] = job
                    return job
                self._changed.wait(_RETRY_SECONDS / 4 if waiting else _LOOK_SECONDS)
        return None

    def _expire(self, now: float) -> None:
        for job in [*self._jobs.values()]:
            if job.is_finished and job.expires_at <= now:
                self._jobs.pop(job.id)
                self._folder.remove(job.id)

    def _write(self, job: Job) -> None:
        try:
            job = self._write_all(job)
            self._keep(job if job.state == WAITING else self._ended(job, DONE))
            self._tries = 0
        except Stopped:
            with self._changed:
                if not self._stopping:
                    self._folder.remove(job.id)
        except Unavailable as error:
            self._put_off(job, error)
        except StellarrowError as error:
            self._count(job, error)
            self._fail(job, str(error))
        except OSError as error:
            if is_passing(error):
                self._put_off(job, error)
            else:
                self._count(job, error)
                _log.error("export %s: %s", job.id, error)
                self._fail(job, _refusal(error))

    def _write_all(self, job: Job) -> Job:
        limits = parts.Limits(
            check=lambda size: self._check(job.id, size), rows=parts.MOST_ROWS, bytes=parts.MOST_BYTES
        )
        if "sql" in job.query:
            began = time.monotonic()
            made = parts.sql_file(self._answers, job, self._folder, limits)
            self._observe(job, began)
            return made
        began = time.monotonic()
        while file := parts.next_file(self._tables, job, self._folder, limits):
            self._observe(job, began)
            job = self._keep(replace(job, files=(*job.files, file)))
            if job.left and self._is_anothers_turn(job):
                return replace(job, state=WAITING)
            began = time.monotonic()
        return job

    def _is_anothers_turn(self, job: Job) -> bool:
        with self._changed:
            waiting = [one for one in self._jobs.values() if one.state == WAITING]
        return any(one.owner != job.owner for one in waiting) and time.monotonic() >= self._not_before

    def _check(self, job_id: str, size: int) -> None:
        """End what is being written where nobody wants it any more, or it takes too much."""
        with self._changed:
            if self._stopping or job_id not in self._jobs:
                raise Stopped("the export was ended")
            total = size + sum(one.bytes for one in self._jobs.values())
        if total > self._settings.most_bytes:
            raise SinkError(
                f"exports would take more than {self._settings.most_bytes >> 20} MB, which is the most:"
                " delete some, or ask for less"
            )

    def _keep(self, job: Job) -> Job:
        with self._changed:
            if job.id not in self._jobs:
                raise Stopped("the export was ended")
            self._folder.save(job)
            self._jobs[job.id] = job
        return job

    def _ended(self, job: Job, state: str, error: str = "") -> Job:
        now = int(time.time())
        expires = int(now + self._settings.age)
        return replace(job, state=state, error=error, ended_at=now, expires_at=expires)

    def _fail(self, job: Job, sentence: str) -> None:
        """Keep why an export ended; where the disk is full, in memory alone, so a restart tries it again."""
        with self._changed:
            if (held := self._jobs.get(job.id)) is None:
                self._folder.remove(job.id)
                return
            failed = self._jobs[job.id] = self._ended(held, FAILED, sentence)
            try:
                self._folder.save(failed)
            except OSError as error:
                _log.error("export %s cannot be kept as failed (%s)", job.id, error)

    def _put_off(self, job: Job, error: StellarrowError | OSError) -> None:
        """Try it again in a moment, some times."""
        self._count(job, error)
        self._tries += 1
        if self._tries >= _TRIES:
            self._tries = 0
            sentence = str(error) if isinstance(error, StellarrowError) else _refusal(error)
            self._fail(job, sentence)
            return
        with self._changed:
            if held := self._jobs.get(job.id):
                self._jobs[job.id] = replace(held, state=WAITING)
            else:
                self._folder.remove(job.id)
            self._not_before = time.monotonic() + _RETRY_SECONDS

    def _observe(self, job: Job, began: float) -> None:
        self._metrics.export_duration.labels(job.format).observe(time.monotonic() - began)
        self._metrics.files_written.labels(job.format).inc()

    def _count(self, job: Job, error: Exception) -> None:
        """Count what failed; what cannot be meant is the caller's."""
        if not isinstance(error, ConfigError):
            self._metrics.export_errors.labels(job.format, type(error).__name__).inc()


def _refusal(error: OSError) -> str:
    return f"the export cannot be written ({reason(error)}): ask for it again once there is room for it"
