"""One processor a state folder: the second is refused, and told of the first."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from stellarrow.errors import ConfigError
from stellarrow.storage.os_errors import reason, remedy
from stellarrow.storage.private import keep_private, private_file, private_folder

_LOCK: Final = "processor.lock"
_STORE: Final = "sessions.sqlite3"
_OURS: Final = (_LOCK, "sessions", "dead-letters", *(f"{_STORE}{one}" for one in ("", "-wal", "-shm")))


class StateLock:
    """A folder that is ours until we end, however we end: the lock goes with the process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            private_folder(folder)
            self._file = private_file(folder / _LOCK, "a+")
        except OSError as error:
            raise ConfigError(
                f"the state folder {folder} cannot be used ({error.strerror}): choose another --state-dir"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "another processor"
            self._file.close()
            raise ConfigError(
                f"the state folder {folder} is in use by {holder}: stop that, or choose another --state-dir"
            ) from error
        try:
            keep_private(folder, [folder / name for name in _OURS])
            self.note("")
        except OSError as error:
            with suppress(OSError):  # what could not be written is tried again
                self._file.close()
            raise ConfigError(
                f"the state folder {folder} cannot be written to ({reason(error)}):"
                f" {remedy(error, 'choose another --state-dir')}"
            ) from error

    def note(self, where: str) -> None:
        """Write down for others who holds the folder, and where that listens."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(f"process {os.getpid()}{f' on {where}' if where else ''}\n")
        self._file.flush()

    def release(self) -> None:
        self._file.close()
