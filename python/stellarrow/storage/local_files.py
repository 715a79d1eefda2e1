"""Files in a folder of this machine: written aside, synced, renamed."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from stellarrow.errors import ConfigError
from stellarrow.protocols import Health
from stellarrow.storage.atomic import make_folders, place, sync_folder
from stellarrow.storage.exclusive import put_new
from stellarrow.storage.files import Found, Gone
from stellarrow.storage.irregular import Irregular, Irregularity, irregularity, leads_out
from stellarrow.storage.lock_waits import lock_exclusively
from stellarrow.storage.os_errors import translate_os_errors
from stellarrow.storage.paths import local_path
from stellarrow.storage.walking import ASIDE, walk

_BUFFER: Final = 1 << 20
_SAMPLE_BYTES: Final = 32 << 20  # written to tell a disk's throughput by
_LEAST_ROOM: Final = 1 << 30


class LocalFiles:
    """A folder; what a writer that died left in it, the next one removes."""

    is_conditional = True

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = local_path(folder)
        try:
            str(self._folder).encode()
        except UnicodeEncodeError as error:  # Arrow opens no such file, which would be taken for damage
            name = os.fsencode(self._folder)
            raise ConfigError(f"{name!r} is no name in UTF-8: rename it, or choose another folder") from error
        self._aside: Path | None = None
        self._lock = -1
        self._beginning = threading.Lock()

    def __str__(self) -> str:
        return str(self._folder)

    def list(self, folder: str, *, deep: bool = False, after: str = "") -> list[Found]:
        return [one for one in self._all(folder, deep=deep, after=after) if isinstance(one, Found)]

    def irregular(self, folder: str) -> Sequence[Irregularity]:
        return [one for one in self._all(folder, deep=True) if isinstance(one, Irregularity)]

    def _all(self, folder: str, *, deep: bool, after: str = "") -> Sequence[Found | Irregularity]:
        with self._translate_os_errors(folder, "read"):
            if leads_out(f"{self._folder}/{folder}", self._root):
                return []
            prefix = f"{folder}/" if folder else ""
            beyond = f"{prefix}{after}" if after else ""
            return [*walk(str(self._folder / folder), prefix, root=self._root, deep=deep, after=beyond)]

    @property
    def _root(self) -> str:
        return os.path.realpath(self._folder)

    def read(self, path: str) -> pa.NativeFile:
        with self._translate_os_errors(path, "read"):
            try:
                self._check(path)
                return pa.OSFile(str(self._folder / path), "rb")
            except FileNotFoundError as error:
                raise _gone(self._folder / path) from error

    def _check(self, path: str) -> None:
        if what := irregularity(f"{self._folder}/{path}", self._root):
            raise Irregular(f"{self._folder}/{path}", what)

    def _check_folder(self, path: str) -> None:
        """Refuse to change what lies behind a link."""
        if leads_out(f"{self._folder}/{path}", self._root):
            raise Irregular(f"{self._folder}/{path}", "a link that leads out of the folder")

    def create(self) -> LocalUpload:
        with self._translate_os_errors(""), self._beginning:
            if self._aside is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._sweep()
                self._aside, self._lock = _locked_folder(self._folder)
            return LocalUpload(self, self._aside / secrets.token_hex(8))

    def place(self, aside: Path, path: str, *, new: bool) -> bool:
        """Rename a whole, synced file to its path, and make the name durable."""
        target = self._folder / path
        self._check_folder(path.rpartition("/")[0])
        with self._translate_os_errors(path):
            make_folders(target.parent)
            if new:
                return put_new(aside, target)
            place(aside, target)
        return True

    def remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._check_folder(path.rpartition("/")[0])
            with self._translate_os_errors(path):
                target = self._folder / path
                target.unlink(missing_ok=True)
                _remove_if_empty(target.parent)

    def move(self, path: str, to: str) -> None:
        source, target = self._folder / path, self._folder / to
        for one in (path, to):
            self._check_folder(one.rpartition("/")[0])
        with self._translate_os_errors(path):
            make_folders(target.parent)
            try:
                place(source, target)
            except FileNotFoundError as error:
                raise _gone(source) from error
            sync_folder(source.parent)
            _remove_if_empty(source.parent)

    @contextmanager
    def reading(self, folder: str) -> Iterator[None]:
        with self._flocked(folder, fcntl.LOCK_SH):
            yield

    @contextmanager
    def unread(self, folder: str) -> Iterator[bool]:
        with self._flocked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB) as locked:
            yield locked

    @contextmanager
    def _flocked(self, folder: str, how: int) -> Iterator[bool]:
        """Lock a folder; yield False where one must wait."""
        try:
            descriptor = os.open(self._folder / folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:  # an older stellarrow made none: readers that miss a file list again
            yield True
            return
        try:
            locked = True
            try:
                fcntl.flock(descriptor, how)
            except BlockingIOError:
                locked = False
            except OSError:  # a network file system without locks
                pass
            yield locked
        finally:
            os.close(descriptor)

    @contextmanager
    def alone(self, folder: str) -> Iterator[bool]:
        self._check_folder(folder)
        with self._translate_os_errors(folder):
            make_folders(self._folder / folder)
            descriptor = os.open(self._folder / folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            try:
                lock_exclusively(descriptor, self._folder / folder)
                locked = True
            except OSError:  # a network file system without locks
                locked = False
            yield locked
        finally:
            os.close(descriptor)

    def _sweep(self) -> None:
        for name in os.listdir(self._folder):
            if name.startswith(ASIDE):
                _remove_if_dead(self._folder / name)

    def is_written_beside(self) -> bool:
        """Tell whether somebody else has files on their way here; where there are no locks, nobody has."""
        with suppress(FileNotFoundError, NotADirectoryError):
            own = self._aside.name if self._aside else ""
            names = [name for name in os.listdir(self._folder) if name.startswith(ASIDE) and name != own]
            return any(_is_held(self._folder / name) for name in names)
        return False

    def health(self) -> Health:
        """Measure the disk with a file that nobody sees, in the folder or the one it would be made in."""
        folder = self._folder.absolute()
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        try:
            room, rate = shutil.disk_usage(there).free, _write_rate(there)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            return Health("broken", f"{there} cannot be written to ({reason}): choose another folder")
        if room < _LEAST_ROOM:
            return Health("warning", f"writable, {room / 1e9:,.1f} GB free: make room", mb_per_s=rate)
        return Health("ok", f"writable, {room / 1e9:,.1f} GB free", mb_per_s=rate)

    def close(self) -> None:
        with self._beginning:  # a sink that has waited long enough closes beside its thread
            aside, self._aside = self._aside, None
            lock, self._lock = self._lock, -1
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
            os.close(lock)

    @contextmanager
    def _translate_os_errors(self, path: str, doing: str = "write to") -> Iterator[None]:
        with translate_os_errors(self._folder / path if path else self._folder, doing):
            yield


class LocalUpload:
    """A file aside, under a name that says nothing; open only while a block of it is written."""

    def __init__(self, store: LocalFiles, aside: Path) -> None:
        self._store = store
        self._aside = aside
        self._waiting: list[Any] = []
        self._waiting_bytes = 0
        aside.touch(exist_ok=False)

    def write(self, data: Any) -> int:
        size = len(data)
        # What is written before this returns needs no copy.
        self._waiting.append(data if size >= _BUFFER else bytes(data))
        self._waiting_bytes += size
        if self._waiting_bytes >= _BUFFER:
            self._flush()
        return size

    def _flush(self, *, sync: bool = False) -> None:
        with translate_os_errors(self._aside.parent.parent, "write to"), open(self._aside, "ab") as file:
            file.writelines(self._waiting)
            self._waiting, self._waiting_bytes = [], 0
            if sync:
                file.flush()
                os.fsync(file.fileno())

    def place(self, path: str, *, new: bool = False) -> bool:
        self._flush(sync=True)
        return self._store.place(self._aside, path, new=new)

    def written(self) -> pa.NativeFile:
        self._flush()
        return pa.OSFile(str(self._aside), "rb")

    def discard(self) -> None:
        self._waiting, self._waiting_bytes = [], 0
        with suppress(OSError):  # the next writer removes it; the error that led here must be the one told
            self._aside.unlink()


def _write_rate(folder: Path) -> float:
    """Write a file without a name, and return how fast it went, in MB/s."""
    with tempfile.TemporaryFile(dir=folder) as file:
        began = time.monotonic()
        file.write(bytes(_SAMPLE_BYTES))
        file.flush()
        os.fsync(file.fileno())
        return _SAMPLE_BYTES / max(time.monotonic() - began, 1e-6) / 1e6


def _locked_folder(parent: Path) -> tuple[Path, int]:
    """Make a folder nobody else writes into, and hold a lock on it for as long as we live."""
    while True:
        folder = parent / f"{ASIDE}{os.getpid()}-{secrets.token_hex(4)}"
        folder.mkdir()
        with suppress(FileNotFoundError):  # another writer, just beginning, took it for a dead one's
            descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            if _is_locked(descriptor) is not False and folder.exists():
                return folder, descriptor
            os.close(descriptor)


def _remove_if_dead(folder: Path) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        if _is_locked(descriptor):
            shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _is_held(folder: Path) -> bool:
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _is_locked(descriptor) is False
        finally:
            os.close(descriptor)
    return False


def _is_locked(descriptor: int) -> bool | None:
    """Lock a folder; False where another has, None where the file system knows no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # a partition's folder that still holds something
        if "=" in folder.name:
            folder.rmdir()


def _gone(path: Path) -> Gone:
    return Gone(f"{path} is gone: run stellarrow check --repair, then the same again")
