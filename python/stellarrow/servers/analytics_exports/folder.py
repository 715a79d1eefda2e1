"""The folder of exports: one below it for each, with its files and `export.json`, which says how far it is.

One process at a time has it. Nothing of a caller's is ever part of a path; links are not followed.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from stellarrow.errors import Damaged
from stellarrow.servers.analytics_exports.job import File, Job
from stellarrow.storage.atomic import sync_folder, written_aside
from stellarrow.storage.private import private_file, private_folder

_STATE: Final = "export.json"
_LOCK: Final = ".lock"
_ID: Final = re.compile(r"[0-9a-f]{32}")
_LARGEST: Final = 4 << 20  # bytes of what an export says of itself
_log: Final = logging.getLogger(__name__)


class ExportFolder:
    """Keeps exports over restarts and kills."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = -1

    def take(self) -> bool:
        """Take the folder for this process, and tell whether it is ours; it is made where it is not there."""
        if self._lock >= 0:
            return True
        private_folder(self.path)
        lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        return True

    @property
    def exists(self) -> bool:
        return self.path.is_dir()

    def close(self) -> None:
        """Let go of it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def jobs(self) -> Iterator[Job]:
        """Yield the exports that are there; what a kill has left halfway is removed."""
        for one in sorted(self.path.iterdir()):
            if not _ID.fullmatch(one.name) or not stat.S_ISDIR(one.lstat().st_mode):
                continue
            try:
                job = _read(one)
            except (OSError, ValueError, RecursionError, Damaged) as error:
                _log.warning("%s is no export, or not a whole one (%s): it is removed", one, error)
                shutil.rmtree(one, ignore_errors=True)
                continue
            self._clean(one, {_STATE, *(file.name for file in job.files)})
            yield job

    def begin(self, job: Job) -> None:
        """Make an export's folder."""
        folder = self.path / job.id
        folder.mkdir(mode=0o700)
        try:
            self.save(job)
            sync_folder(self.path)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def save(self, job: Job) -> None:
        """Keep how far an export is; what was kept before stays until then."""
        with written_aside(self.path / job.id / _STATE) as aside, private_file(aside, "xb") as file:
            file.write(json.dumps(job.kept()).encode())

    @contextmanager
    def written(self, job: Job, name: str) -> Iterator[Any]:
        """Yield a file to write to, which is there whole and durable when the block ends well."""
        with written_aside(self.path / job.id / name) as aside, private_file(aside, "xb") as file:
            yield file

    def file(self, job: Job, file: File) -> Path:
        """Return where a file of an export is; Damaged where it is not what was written."""
        path = self.path / job.id / file.name
        try:
            found = path.lstat()
        except OSError as error:
            raise Damaged(f"the file {file.name} is gone: ask for the export again") from error
        if not stat.S_ISREG(found.st_mode) or found.st_size != file.bytes:
            raise Damaged(f"the file {file.name} is not what was written: ask for the export again")
        return path

    def remove(self, job_id: str) -> None:
        """Remove an export with its files; twice is harmless."""
        folder = self.path / job_id
        with suppress(FileNotFoundError):
            (folder / _STATE).unlink()  # first: what is left of it after a kill is removed then
        shutil.rmtree(folder, ignore_errors=True)

    def _clean(self, folder: Path, known: set[str]) -> None:
        for one in folder.iterdir():
            if one.name not in known:
                with suppress(OSError):
                    one.unlink()


def _read(folder: Path) -> Job:
    """Read what an export says of itself, in a file that is no link."""
    descriptor = os.open(folder / _STATE, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError("it is too large")
    held = json.loads(data)
    if not isinstance(held, dict) or held.get("id") != folder.name:
        raise ValueError("it is of another export")
    return Job.of_kept(held)
