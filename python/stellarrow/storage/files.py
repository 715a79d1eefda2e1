"""Where files lie: the few things a folder and an object store must both do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from stellarrow.errors import SinkError
from stellarrow.protocols import Health
from stellarrow.storage.irregular import Irregularity

if TYPE_CHECKING:
    import pyarrow as pa


class Gone(SinkError):
    """The store answers, and there is no such file."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that is there: its path below the place, its size, and when it changed (unix seconds)."""

    path: str
    bytes: int
    changed: float


class Upload(Protocol):
    """A file on its way; nobody sees it before it is placed."""

    def write(self, data: Any) -> int:
        """Take bytes, in order."""

    def place(self, path: str, *, new: bool = False) -> bool:
        """Make it durable under a name, in one step; False where it had to be new and one is there."""

    def written(self) -> pa.NativeFile:
        """Open what was written so far, for reading."""

    def discard(self) -> None:
        """Forget it, if it was not placed; twice is harmless."""


class FileStore(Protocol):
    """A place for files; paths are relative to it, with slashes."""

    def __str__(self) -> str:
        """Name the place for people."""

    @property
    def is_conditional(self) -> bool:
        """Whether of several that place a new file at once one alone does; known once one was placed."""

    def list(self, folder: str, *, deep: bool = False, after: str = "") -> list[Found]:
        """Return the regular files of a folder sorted by path, those below it too where deep.

        Those whose name does not come after `after` may be missing; what is not placed is missing.
        """

    def irregular(self, folder: str) -> Sequence[Irregularity]:
        """Return what lies in a folder or below, and is neither a folder nor a file that may be opened."""

    def read(self, path: str) -> pa.NativeFile:
        """Open a file, seekable; one that is not there is Gone, what is no file of the place Irregular."""

    def create(self) -> Upload:
        """Begin a file; the first time, remove what writers that died left on its way."""

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files; one that is not there is no error."""

    def move(self, path: str, to: str) -> None:
        """Give a file another name, durably; at no moment is it under neither. One not there is Gone."""

    def reading(self, folder: str) -> AbstractContextManager[None]:
        """Let what a folder holds stay, whatever compaction replaces, where the place can promise it."""

    def unread(self, folder: str) -> AbstractContextManager[bool]:
        """Keep readers from beginning, for a moment; yields False where one is at it."""

    def alone(self, folder: str) -> AbstractContextManager[bool]:
        """Keep other writers from placing into a folder; yields whether the place can promise it."""

    def health(self) -> Health:
        """Say whether the place could be written to, without changing what it holds."""

    def close(self) -> None:
        """Let go of everything; who uses it still, ends soon with an error. Twice is harmless."""
