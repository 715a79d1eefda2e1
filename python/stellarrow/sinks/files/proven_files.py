"""The files of a table as a file system of Arrow's, so that a dataset opens none that was not proven."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

import pyarrow as pa
from pyarrow.fs import FileInfo, FileSystemHandler, FileType, PyFileSystem

from stellarrow.errors import SinkError
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.manifest import KeptFile
from stellarrow.sinks.files.proof import held_files, proven_file

_READ_ONLY: Final = "files of a table are read here, not changed"


def proven_files(listing: Listing, ranges: Mapping[str, LedgerRange]) -> PyFileSystem:
    """Return the files of these paths, each of its range, as what datasets read; the rest is not there."""
    return PyFileSystem(_ProvenFiles(listing, dict(ranges)))


class _ProvenFiles(FileSystemHandler):  # type: ignore[misc]
    """Arrow asks from threads of its own; whatever two of them do twice is the same."""

    def __init__(self, listing: Listing, ranges: dict[str, LedgerRange]) -> None:
        self._listing = listing
        self._ranges = ranges
        self._kept: dict[LedgerRange, dict[str, KeptFile]] = {}

    def get_type_name(self) -> str:
        return "proven"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[FileInfo]:
        return [
            FileInfo(path, FileType.File if path in self._ranges else FileType.NotFound) for path in paths
        ]

    def open_input_file(self, path: str) -> pa.NativeFile:
        """Open a file, proven; Arrow tells what this raises in the error of its own."""
        ledgers = self._ranges[path]
        if ledgers not in self._kept:
            folder = self._listing.shape.folder
            files = held_files(self._listing, ledgers)
            self._kept[ledgers] = {f"{folder}/{kept.path}": kept for kept in files}
        try:
            with proven_file(self._listing, ledgers, self._kept[ledgers][path]):
                pass
            return self._listing.store.read(path)
        except SinkError as error:
            raise OSError(str(error)) from error

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return self.open_input_file(path)

    def get_file_info_selector(self, selector: Any) -> NoReturn:
        raise NotImplementedError(_READ_ONLY)

    def create_dir(self, path: str, recursive: bool) -> NoReturn:
        raise NotImplementedError(_READ_ONLY)

    def delete_dir(self, path: str) -> NoReturn:
        raise NotImplementedError(_READ_ONLY)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> NoReturn:
        raise NotImplementedError(_READ_ONLY)

    def delete_root_dir_contents(self) -> NoReturn:
        raise NotImplementedError(_READ_ONLY)

    def delete_file(self, path: str) -> NoReturn:
        raise NotImplementedError(_READ_ONLY)

    def move(self, src: str, dest: str) -> NoReturn:
        raise NotImplementedError(_READ_ONLY)

    def copy_file(self, src: str, dest: str) -> NoReturn:
        raise NotImplementedError(_READ_ONLY)

    def open_output_stream(self, path: str, metadata: Any) -> NoReturn:
        raise NotImplementedError(_READ_ONLY)

    def open_append_stream(self, path: str, metadata: Any) -> NoReturn:
        raise NotImplementedError(_READ_ONLY)
