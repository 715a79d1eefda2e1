"""Records as files of a folder that all who share them have mounted, on a file system with locks."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from stellarrow.errors import SinkUnavailable
from stellarrow.records.record import Record
from stellarrow.storage.atomic import make_folders, written_aside
from stellarrow.storage.private import private_file

_LOCK: Final = ".lock"


class FolderRecords:
    """A folder; a version is the digest of what a file holds, so equal bytes are one version."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.where = str(folder)

    def get(self, key: str) -> Record | None:
        with self._translate_errors():
            try:
                data = (self._folder / key).read_bytes()
            except FileNotFoundError:
                return None
        return Record(data, _version(data))

    def replace(self, key: str, data: bytes, *, of: str | None) -> str | None:
        with self._translate_errors():
            path = self._folder / key
            make_folders(path.parent)
            with self._alone(path):
                held = self.get(key)
                if (held.version if held else None) != of:
                    return None
                with written_aside(path) as aside, private_file(aside, "xb") as file:
                    file.write(data)
        return _version(data)

    def remove(self, key: str) -> None:
        with self._translate_errors():
            (self._folder / key).unlink(missing_ok=True)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    @contextmanager
    def _alone(self, path: Path) -> Iterator[None]:
        with private_file(path.with_name(f"{path.name}{_LOCK}"), "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # goes with the process
            yield

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SinkUnavailable(
                f"the shared records in {self._folder} cannot be used ({error.strerror}): mount it, make room"
                " or fix its permissions"
            ) from error


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
