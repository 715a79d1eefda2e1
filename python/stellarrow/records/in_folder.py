"""Records as files of a folder that all who share them have mounted.

A record is a folder, each version of it a file whose name is a number. A version is put only where there is
none of its number, which the file system decides: no lock is taken, so nobody who was paused holds one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from stellarrow.errors import SinkUnavailable
from stellarrow.records.record import Record
from stellarrow.storage.atomic import aside_of, make_folders, removed_after_errors
from stellarrow.storage.exclusive import put_new
from stellarrow.storage.os_errors import reason, remedy

_NONE: Final = "0"  # no version is called that
# What was replaced stays so long, by the file system's clock: who was paused for less finds its number taken.
_KEPT_SECONDS: Final = 600.0


class FolderRecords:
    """A folder, on this machine or mounted from another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.where = str(folder)

    def get(self, key: str) -> Record | None:
        with self._translate_errors():
            while newest := self._newest(key):
                with suppress(FileNotFoundError):  # replaced just now
                    return Record((self._folder / key / _name(newest)).read_bytes(), str(newest))
        return None

    def replace(self, key: str, data: bytes, *, of: str | None) -> str | None:
        with self._translate_errors():
            folder = self._folder / key
            before = int(of or 0)
            make_folders(folder)
            made, aside = folder / _name(before + 1), aside_of(folder / _name(before + 1))
            with removed_after_errors(aside):
                _write(aside, data)
                # Only then: what is removed later than this look was replaced much later than we wrote.
                if self._newest(key) != before or of == _NONE:
                    aside.unlink()
                    return None
                if not put_new(aside, made):
                    return None
            if self._is_late(key, made):
                made.unlink(missing_ok=True)
                return None
            self._tidy(key, made, before)
        return str(before + 1)

    def _is_late(self, key: str, made: Path) -> bool:
        """Tell whether we were paused for so long that our number had been used, and was free again."""
        newest = self._newest(key)
        if newest == int(made.name):
            return False
        with suppress(FileNotFoundError):
            return (made.parent / _name(newest)).stat().st_mtime >= made.stat().st_mtime + _KEPT_SECONDS
        return self._is_late(key, made)  # that one was replaced, too

    def _tidy(self, key: str, made: Path, before: int) -> None:
        with suppress(FileNotFoundError):  # another one tidies
            now = made.stat().st_mtime
            for number in self._numbers(key):
                old = made.parent / _name(number)
                if number <= before and old.stat().st_mtime < now - _KEPT_SECONDS:
                    old.unlink()

    def remove(self, key: str) -> None:
        with self._translate_errors():
            for number in self._numbers(key):
                (self._folder / key / _name(number)).unlink(missing_ok=True)
            with suppress(OSError):  # somebody writes it again
                (self._folder / key).rmdir()

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _newest(self, key: str) -> int:
        """Return the newest version, 0 where there is none."""
        return max(self._numbers(key), default=0)

    def _numbers(self, key: str) -> list[int]:
        try:
            return [int(one.name) for one in (self._folder / key).iterdir() if one.name.isdecimal()]
        except FileNotFoundError:
            return []

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SinkUnavailable(
                f"the shared records in {self._folder} cannot be used ({reason(error)}):"
                f" {remedy(error, 'mount it')}"
            ) from error


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _name(number: int) -> str:
    return f"{number:012d}"
