"""Objects as files of a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import islice
from typing import Final

from stellarrow.storage.atomic import make_folders
from stellarrow.storage.exclusive import write_new
from stellarrow.storage.files import Found
from stellarrow.storage.os_errors import translate_os_errors, unreadable
from stellarrow.storage.paths import local_path
from stellarrow.storage.walking import walk

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
            raise unreadable(self._folder / key, error) from error

    def page(self, prefix: str = "", *, after: str = "") -> list[tuple[str, int]]:
        try:
            found = walk(str(self._folder / prefix), prefix, after=after)
            objects = ((one.path, one.bytes) for one in found if isinstance(one, Found))
            return list(islice((one for one in objects if not one[0].endswith(".tmp")), _PAGE))
        except NotADirectoryError:
            return []
        except OSError as error:
            raise unreadable(self._folder / prefix, error) from error

    def folders(self) -> list[str]:
        try:
            return sorted(one.name for one in os.scandir(self._folder) if one.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise unreadable(self._folder, error) from error

    def metadata(self, key: str) -> dict[str, str]:  # noqa: ARG002  files have none
        return {}

    def put(self, key: str, data: bytes, metadata: Mapping[str, str]) -> bool:  # noqa: ARG002  the Protocol has it
        path = self._folder / key
        with translate_os_errors(path, "write to"):
            make_folders(path.parent)
            return write_new(path, data)
