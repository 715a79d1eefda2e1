"""Files that are there whole or not at all: written aside, synced, renamed.

Everything of ours that replaces a file does it here. What must not replace one is in `exclusive.py`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa


@contextmanager
def written_aside(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a path to write a file at; when the block ends well, the file takes its name.

    After an error nothing is left of it, and what was there before stays. Where it is not durable, a machine
    that loses power may keep the name without the bytes.
    """
    aside = aside_of(path)
    with removed_after_errors(aside):
        yield aside
        if durable:
            _sync(aside)
            place(aside, path)
        else:
            aside.replace(path)


def aside_of(path: Path) -> Path:
    """Return a name in the same folder that nobody else uses and that readers of ours skip."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


@contextmanager
def removed_after_errors(aside: Path) -> Iterator[None]:
    """Remove a file aside when the block fails."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # what cannot be removed must not hide why
            aside.unlink()
        raise


def place(aside: Path, path: Path) -> None:
    """Give a synced file its name, durably, in the place of what has it."""
    aside.replace(path)
    sync_folder(path.parent)


def write_all(file: BinaryIO, data: bytes | pa.Buffer) -> None:
    """Write all of it: a raw file may take a part."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def make_folders(folder: Path) -> None:
    """Make a folder and those above it, durably."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for made in reversed(missing):
        made.mkdir(exist_ok=True)
        sync_folder(made.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
