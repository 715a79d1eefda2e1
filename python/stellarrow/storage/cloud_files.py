"""Files in an object store: made on this machine's disk, then put whole.

A small file is put only if there is none of its name; a large one goes in parts, which the store makes
visible at once. Both end in the same bytes whoever is first, so neither needs a lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile, gettempdir
from typing import Any, Final, TypeVar

import pyarrow as pa

from stellarrow.errors import SinkUnavailable
from stellarrow.extras import needing
from stellarrow.net.resilience import Guard, Policy
from stellarrow.protocols import Health
from stellarrow.storage import errors
from stellarrow.storage.files import Found, Gone
from stellarrow.storage.irregular import Irregularity
from stellarrow.storage.object_store import CloudStore
from stellarrow.storage.os_errors import translate_os_errors
from stellarrow.storage.store import StoreOptions

with needing("an object store", "lake"):
    import obstore

Result = TypeVar("Result")

_IN_MEMORY: Final = 8 << 20  # bytes of a file on its way; beyond it lies on disk
_AT_ONCE: Final = 32 << 20  # bytes put as one object; beyond it in parts
_PART: Final = 8 << 20
_READ: Final = 1 << 20


class CloudFiles(CloudStore):
    """A bucket, or the part of it below a prefix, as a place for files."""

    def __init__(
        self, url: str, options: StoreOptions | None = None, *, policy: Policy | None = None
    ) -> None:
        super().__init__(url, options or StoreOptions())
        self._closed = threading.Event()
        self._guard = Guard(url, policy, stop=self._closed, refusal=SinkUnavailable)

    def __str__(self) -> str:
        return self.where

    @property
    def is_conditional(self) -> bool:
        return self._is_conditional

    def list(self, folder: str, *, deep: bool = False, after: str = "") -> list[Found]:
        prefix = f"{folder}/" if folder else ""

        def work() -> list[Found]:
            if deep or after:
                found = self._listed(prefix, after)
                return [one for one in found if deep or "/" not in one.path[len(prefix) :]]
            return [_found(one) for one in self._folder(prefix)["objects"]]

        return sorted(self._tried("list", work, folder), key=lambda one: one.path)

    def _listed(self, prefix: str, after: str) -> Iterator[Found]:
        offset = prefix + after if after else None
        for page in self._pages(prefix, offset or ""):
            yield from map(_found, page)

    def irregular(self, folder: str) -> Sequence[Irregularity]:  # noqa: ARG002  the Protocol has it
        return []

    def read(self, path: str) -> pa.NativeFile:
        def work() -> Any:
            blocks = obstore.get(self._store, path).stream(_READ)
            file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  the reader closes it
            try:
                for block in blocks:
                    file.write(block)
                file.seek(0)
            except BaseException:
                file.close()
                raise
            return file

        return pa.PythonFile(self._tried("get", work, path), mode="r")

    def create(self) -> CloudUpload:
        self._check_may_write()
        return CloudUpload(self)

    def place(self, file: Any, size: int, path: str, *, new: bool) -> bool:
        """Put a file whole; False where it had to be new and one is there."""
        # Parts cannot be put on a condition; who comes second writes the same bytes again.
        if new and size > _AT_ONCE and self.list(path):
            return False

        def whole(mode: Any) -> None:
            file.seek(0)
            obstore.put(self._store, path, file.read(), mode=mode, use_multipart=False)

        def in_parts() -> bool:
            file.seek(0)
            obstore.put(self._store, path, file, use_multipart=True, chunk_size=_PART, max_concurrency=4)
            return True

        if size > _AT_ONCE:
            return self._tried("put", in_parts, path)
        if new:
            return self._guarded("put", lambda: self._put_new(path, whole), path)
        self._tried("put", lambda: whole("overwrite"), path)
        return True

    def remove(self, paths: Iterable[str]) -> None:
        gone = [*paths]
        if gone:
            with suppress(Gone):
                self._tried("delete", lambda: obstore.delete(self._store, gone), gone[0])

    def move(self, path: str, to: str) -> None:
        self._tried("copy", lambda: obstore.copy(self._store, path, to), path)
        self.remove([path])

    @contextmanager
    def reading(self, folder: str) -> Iterator[None]:  # noqa: ARG002  the Protocol has it
        yield  # readers list again

    @contextmanager
    def unread(self, folder: str) -> Iterator[bool]:  # noqa: ARG002  the Protocol has it
        yield True

    @contextmanager
    def alone(self, folder: str) -> Iterator[bool]:  # noqa: ARG002  the Protocol has it
        yield False

    def health(self) -> Health:
        """List the place once; whether these credentials may write, only a write would tell."""
        self._check_may_write()
        began = time.monotonic()
        self._done(lambda: self._folder(""), "", writing=True)
        latency = (time.monotonic() - began) * 1000
        return Health("ok", "answers, and lists what is there", latency_ms=latency)

    def close(self) -> None:
        self._closed.set()

    def _tried(self, operation: str, work: Callable[[], Result], path: str) -> Result:
        return self._guarded(operation, lambda: self._done(work, path, writing=True), path)

    def _guarded(self, operation: str, work: Callable[[], Result], path: str) -> Result:
        try:
            return self._guard.call(operation, work)
        except errors.Absent as error:
            raise Gone(
                f"{self}/{path} is gone: run stellarrow check --repair, then the same again"
            ) from error


class CloudUpload:
    """A file on this machine until it is put."""

    def __init__(self, files: CloudFiles) -> None:
        self._files = files
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  discard closes it
        self._bytes = 0

    def write(self, data: Any) -> int:
        with translate_os_errors(Path(gettempdir()), "write to"):
            self._bytes += self._file.write(data)
        return len(data)

    def place(self, path: str, *, new: bool = False) -> bool:
        return self._files.place(self._file, self._bytes, path, new=new)

    def written(self) -> pa.NativeFile:
        self._file.seek(0)
        return pa.PythonFile(self._file, mode="r")

    def discard(self) -> None:
        self._file.close()


def _found(one: Any) -> Found:
    return Found(one["path"], one["size"], one["last_modified"].timestamp())
