"""Reading a Parquet file in a process of its own, which may die of it.

Arrow trusts what a footer says: one flipped bit of its statistics ends the whole process (SIGABRT). A file
that a manifest knows is compared with a digest first. One that no manifest knows is read here first.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from stellarrow.errors import SinkUnavailable

_BLOCK: Final = 1 << 20
_LEAST_TIME: Final = 60  # seconds; more for larger files
_SLOWEST: Final = 1 << 20  # bytes a second
_SOUND: Final = b"sound\n"
# Signals by which a process ends itself. Others come from outside, and prove nothing.
_OWN: Final = (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)


def try_out(file: pa.NativeFile) -> None:
    """Have a file read whole elsewhere, and leave it at its beginning; ValueError where it cannot be."""
    _of_process(os.getpid()).read(file)


@cache
def _of_process(pid: int) -> Trial:  # noqa: ARG001  one that was forked must not share its parent's pipes
    return Trial()


class Trial:
    """A process that reads files, begun with the first and again after one that ended it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, file: pa.NativeFile) -> None:
        """Do what `try_out` says."""
        with self._lock:
            file.seek(0)
            size = file.size()
            process = self._process or self._begun()
            stdin, stdout = _pipes(process)
            with suppress(BrokenPipeError):
                stdin.write(size.to_bytes(8, "big"))
                while block := file.read(_BLOCK):
                    stdin.write(block)
                stdin.flush()
            file.seek(0)
            answer = stdout.readline() if _speaks(stdout, _LEAST_TIME + size / _SLOWEST) else b""
            if not answer.endswith(b"\n"):
                raise self._ended(process)
        if answer != _SOUND:
            raise ValueError(answer.decode(errors="replace").strip())

    def _begun(self) -> subprocess.Popen[bytes]:
        # The same modules, wherever this process has them from.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(  # noqa: S603  this very Python
            [sys.executable, "-m", __name__],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a signal to all of a service's group is for the service to handle
        )
        weakref.finalize(self, _end, self._process)
        return self._process

    def _ended(self, process: subprocess.Popen[bytes]) -> Exception:
        """Return what the end of the process, or its silence, proves of the file."""
        self._process = None
        is_silent = process.poll() is None and not _is_over(process)
        _end(process)
        if -process.returncode in _OWN and not is_silent:
            name = signal.Signals(-process.returncode).name
            return ValueError(f"no manifest knows it, and the process that tried to read it died ({name})")
        return SinkUnavailable(
            "a file that no manifest knows could not be read in a process of its own"
            f" ({'no answer' if is_silent else f'exit code {process.returncode}'}): nothing is proven"
            " damaged; run it again later"
        )


def _is_over(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        return False
    return True


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise ValueError("a process without pipes")
    return process.stdin, process.stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in _pipes(process):
        with suppress(OSError):
            pipe.close()
    if not _is_over(process):
        process.kill()
        process.wait()


def read_all(file: Any) -> None:
    """Read everything a reader of ours could, so that what it could die of happens here."""
    held = pq.ParquetFile(file, page_checksum_verification=True)
    texts = [field.name for field in held.schema_arrow if pa.types.is_string(field.type)]
    for _ in _statistics(held.metadata):
        pass
    file.seek(0)
    encoded = pq.ParquetFile(file, read_dictionary=texts, page_checksum_verification=True)
    for group in range(held.num_row_groups):
        encoded.read_row_group(group, use_threads=False)


def _statistics(held: pq.FileMetaData) -> Iterator[Any]:
    for group in range(held.num_row_groups):
        chunks = held.row_group(group)
        for column in range(chunks.num_columns):
            bound = chunks.column(column).statistics
            if bound is not None and bound.has_min_max:
                yield bound.min, bound.max


def _speaks(pipe: IO[bytes], seconds: float) -> bool:
    """Wait until there is something to read, or the end; select() knows no descriptor from 1,024 on."""
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    return bool(waiting.poll(seconds * 1_000))


def main() -> None:
    """Answer a line for each file that comes in, until there are no more."""
    import resource  # noqa: PLC0415  this process alone needs it

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asks, whose end ends this
    incoming, answers = sys.stdin.buffer, sys.stdout.buffer
    while size := incoming.read(8):
        with tempfile.TemporaryFile() as file:
            rest = int.from_bytes(size, "big")
            while rest and (block := incoming.read(min(rest, _BLOCK))):
                file.write(block)
                rest -= len(block)
            file.seek(0)
            answers.write(_answer(file))
            answers.flush()


def _answer(file: Any) -> bytes:
    try:
        read_all(pa.PythonFile(file, mode="r"))
    except MemoryError:
        raise  # says nothing of the file
    except (pa.ArrowException, ValueError, OSError, TypeError) as error:
        return " ".join(str(error).split()).encode() + b"\n"
    return _SOUND


if __name__ == "__main__":
    main()
