"""Objects as files of a folder."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from stellarrow.errors import SinkError, SinkUnavailable, SourceError, SourceUnavailable
from stellarrow.storage.exclusive import make_folders, put_new, write_synced
from stellarrow.storage.passing import is_passing
from stellarrow.storage.paths import local_path

_PAGE: Final = 1_000  # keys, as S3 gives


class LocalStore:
    """A folder; names that begin with a dot are objects too, those that end in .tmp are being written."""

    lists = True
    doubt = ""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = local_path(folder)
        self.where = str(self._folder)

    def get(self, key: str) -> bytes | None:
        try:
            return (self._folder / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(self._folder / key, error) from error

    def page(self, prefix: str = "", *, after: str = "") -> list[tuple[str, int]]:
        try:
            return list(islice(self._walk(prefix, after), _PAGE))
        except OSError as error:
            raise _unreadable(self._folder / prefix, error) from error

    def _walk(self, prefix: str, after: str) -> Iterator[tuple[str, int]]:
        try:
            entries = list(os.scandir(self._folder / prefix))
        except (FileNotFoundError, NotADirectoryError):
            return
        # A folder's slash takes part in the order of keys.
        named = sorted((f"{prefix}{one.name}{'/' if one.is_dir() else ''}", one) for one in entries)
        for key, entry in named:
            if key.endswith("/"):
                if key > after or after.startswith(key):
                    yield from self._walk(key, after)
            elif key > after and not key.endswith(".tmp"):
                yield key, entry.stat().st_size

    def folders(self) -> list[str]:
        try:
            return sorted(one.name for one in os.scandir(self._folder) if one.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _unreadable(self._folder, error) from error

    def metadata(self, key: str) -> dict[str, str]:  # noqa: ARG002  files have none
        return {}

    def put(self, key: str, data: bytes, metadata: Mapping[str, str]) -> bool:  # noqa: ARG002
        path = self._folder / key
        aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            make_folders(path.parent)
            try:
                write_synced(aside, data)
                return put_new(aside, path)
            except OSError:
                with suppress(OSError):  # what cannot be removed must not hide why
                    aside.unlink()
                raise
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            remedy = "make room, or choose another place" if full else "choose another place"
            kind = SinkUnavailable if is_passing(error) else SinkError
            raise kind(f"{path} cannot be written ({os.strerror(error.errno or 0)}): {remedy}") from error


def _unreadable(path: Path, error: OSError) -> SourceError:
    why = os.strerror(error.errno or 0)
    if is_passing(error):
        return SourceUnavailable(f"{path} cannot be read now ({why}): try again later")
    return SourceError(f"{path} cannot be read ({why}): check its permissions")
