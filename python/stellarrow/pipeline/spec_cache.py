"""Code of contracts on disk, by its hash: what was found once need not be found again.

A file's name is the hash of what it holds, which is compared whenever it is read: whoever wrote it, whatever
became of it since, nothing else is ever taken for the code.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from stellarrow.storage.atomic import written_aside
from stellarrow.storage.private import private_file, private_folder

_SUFFIX: Final = ".wasm"
_MOST_BYTES: Final = 256 << 20
_LARGEST: Final = 1 << 20  # bytes of one: the network's own limit is 128 KiB


def default_folder() -> Path:
    """Return where code is kept unless it is said: below the user's caches."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(caches).expanduser() / "stellarrow" / "specs"


class SpecCache:
    """Code by its hash (hex) in a folder of at most so many bytes; any number of processes may share it.

    A cache that cannot be read or written holds nothing: no one fails for it.
    """

    def __init__(self, folder: Path | None = None, *, most_bytes: int = _MOST_BYTES) -> None:
        self._folder = folder or default_folder()
        self._most = most_bytes

    def get(self, hash: str) -> bytes | None:
        """Return code, None where it is not there, or is not what its name says."""
        path = self._folder / f"{hash}{_SUFFIX}"
        try:
            code = _read(path)
        except OSError:
            return None
        if code is None or sha256(code).hexdigest() != hash:
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)  # who was used last goes last
        return code

    def put(self, code: bytes) -> str:
        """Keep code, and return its hash; the least used of others goes where there is too much."""
        hash = sha256(code).hexdigest()
        path = self._folder / f"{hash}{_SUFFIX}"
        if len(code) > min(_LARGEST, self._most):
            return hash
        with suppress(OSError):
            if not path.exists():
                private_folder(self._folder)
                with written_aside(path, durable=False) as aside, private_file(aside, "xb") as file:
                    file.write(code)
                self._make_room(path)
        return hash

    def _make_room(self, newest: Path) -> None:
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(OSError):  # another process has just removed it
                    known = entry.stat(follow_symlinks=False)
                    found.append((known.st_mtime_ns, known.st_size, entry.path))
        over = sum(size for _, size, _ in found) - self._most
        for _, size, path in sorted(found):
            if over <= 0:
                break
            if path != str(newest):
                with suppress(OSError):
                    Path(path).unlink()
                over -= size


def _read(path: Path) -> bytes | None:
    """Read a plain file; None where it is anything else, which is not waited for."""
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(number, "rb") as file:
        return bytes(file.read(_LARGEST + 1)) if stat.S_ISREG(os.fstat(number).st_mode) else None
