"""A store that says before each operation that one is due."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pyarrow as pa

from stellarrow.protocols import Health
from stellarrow.storage.files import FileStore, Found, Upload
from stellarrow.storage.irregular import Irregularity


class Died(BaseException):
    """A process ended here, as far as what it left behind tells."""


def dying_at(step: int) -> Callable[[], None]:
    """Return what dies before the step of that number."""
    left = step

    def due() -> None:
        nonlocal left
        left -= 1
        if not left:
            raise Died

    return due


class Stepping:
    """Calls `step` before everything that leaves a trace in the store below."""

    def __init__(self, store: FileStore, step: Callable[[], None]) -> None:
        self._store = store
        self._step = step

    def __str__(self) -> str:
        return str(self._store)

    @property
    def is_conditional(self) -> bool:
        return self._store.is_conditional

    def list(self, folder: str, *, deep: bool = False, after: str = "") -> list[Found]:
        return self._store.list(folder, deep=deep, after=after)

    def read(self, path: str) -> pa.NativeFile:
        return self._store.read(path)

    def create(self) -> Upload:
        self._step()
        return SteppingUpload(self._store.create(), self._step)

    def remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._step()
            self._store.remove([path])

    def move(self, path: str, to: str) -> None:
        self._step()
        self._store.move(path, to)

    def irregular(self, folder: str) -> Sequence[Irregularity]:
        return self._store.irregular(folder)

    def reading(self, folder: str) -> AbstractContextManager[None]:
        return self._store.reading(folder)

    def unread(self, folder: str) -> AbstractContextManager[bool]:
        return self._store.unread(folder)

    def alone(self, folder: str) -> AbstractContextManager[bool]:
        return self._store.alone(folder)

    def health(self) -> Health:
        return self._store.health()

    def close(self) -> None:
        self._store.close()


class Unlocked(Stepping):
    """A place without locks, as object stores are, that says before it is listed or read, too."""

    def list(self, folder: str, *, deep: bool = False, after: str = "") -> list[Found]:
        self._step()
        return super().list(folder, deep=deep, after=after)

    def read(self, path: str) -> pa.NativeFile:
        self._step()
        return super().read(path)

    def alone(self, folder: str) -> AbstractContextManager[bool]:  # noqa: ARG002
        return nullcontext(False)

    def reading(self, folder: str) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()

    def unread(self, folder: str) -> AbstractContextManager[bool]:  # noqa: ARG002
        return nullcontext(True)


class SteppingUpload:
    def __init__(self, upload: Upload, step: Callable[[], None]) -> None:
        self._upload = upload
        self._step = step

    def write(self, data: Any) -> int:
        return self._upload.write(data)

    def place(self, path: str, *, new: bool = False) -> bool:
        self._step()
        return self._upload.place(path, new=new)

    def written(self) -> pa.NativeFile:
        return self._upload.written()

    def discard(self) -> None:
        self._upload.discard()
