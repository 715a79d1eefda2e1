"""Ledgers that could not be kept, whole, each with its error and where it came from.

`<folder>/<ledger>-<digest>.xdr` are the bytes, `<folder>/<ledger>-<digest>.json` says what was wrong. The
digest is of the bytes and of the job that failed: putting the same letter again changes nothing, and two jobs
that fail over one ledger have a letter each. The JSON comes last: a letter is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from stellarrow.errors import Damaged, SinkUnavailable, SourceError
from stellarrow.ledgers import LedgerChunk, LedgerRange, LedgerSet
from stellarrow.storage.atomic import sync_folder, written_aside
from stellarrow.storage.os_errors import reason, remedy
from stellarrow.storage.paths import local_path
from stellarrow.storage.private import private_file, private_folder

FOLDER: Final = "dead-letters"  # where they lie below the state's folder

_DIGEST: Final = 16  # hex digits in a name
_FORMAT: Final = 2  # the first has no checksum
_CHECKSUM: Final = "checksum"  # SHA-256 of all else that the JSON says
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What is known of a ledger that was quarantined; `last` differs where a chunk could not be taken apart.

    `kind` is the error's class, `path` and `offset` its place, `at` an ISO time, `job` what was being done,
    `fetched` whether it came over a network.
    """

    name: str
    ledger: int
    last: int
    kind: str
    message: str
    path: str | None
    offset: int | None
    where: str
    framing: str
    size: int
    sha256: str
    tables: tuple[str, ...]
    at: str
    job: Mapping[str, Any] = field(default_factory=dict)
    fetched: bool = False


class DeadLetters:
    """Keep ledgers that could not be decoded or written, in a folder made with the first of them.

    Several processes may share the folder.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        job: Mapping[str, Any] | None = None,
        put_aside: Callable[[DeadLetter], None] | None = None,
    ) -> None:
        """Keep them in a folder; `put_aside` is told of each once it is durable."""
        self.folder = local_path(folder)
        self._job = dict(job or {})
        self._quarantine = put_aside

    def put(
        self,
        data: bytes,
        framing: str,
        ledger: int,
        error: Exception,
        where: str,
        *,
        last: int | None = None,
        tables: Sequence[str] = (),
        fetched: bool = False,
    ) -> DeadLetter:
        """Return once the ledger's bytes and what is known of it are durable."""
        content = hashlib.sha256(data)
        letter = DeadLetter(
            name=_name(content, ledger, last, tables, self._job),
            ledger=ledger,
            last=ledger if last is None else last,
            kind=type(error).__name__,
            message=str(error),
            path=getattr(error, "path", None),
            offset=getattr(error, "offset", None),
            where=where,
            framing=framing,
            size=len(data),
            sha256=content.hexdigest(),
            tables=tuple(tables),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            job=self._job,
            fetched=fetched,
        )
        with self._translate_os_errors():
            private_folder(self.folder)
            self._place(f"{letter.name}.xdr", data)
            self._place(f"{letter.name}.json", _written(letter))
        if self._quarantine:
            self._quarantine(letter)
        return letter

    def entries(self) -> list[DeadLetter]:
        """Return every letter that is sound, in ledger order; the log tells of others."""
        return [one for one in self._read("*.json") if isinstance(one, DeadLetter)]

    def get(self, ledger: int) -> list[DeadLetter]:
        """Return the letters of a ledger, one a job that failed over it; SourceError where one is damaged."""
        found = []
        for one in self._read(f"{ledger:010d}-*.json"):
            if isinstance(one, Damaged):
                raise SourceError(str(one)) from one
            found.append(one)
        return found

    def damaged(self) -> list[Damaged]:
        """Return what is wrong with each letter that is damaged."""
        return [one for one in self._read("*.json") if isinstance(one, Damaged)]

    def chunk(self, letter: DeadLetter) -> LedgerChunk:
        """Return a letter's ledgers as a source would; SourceError where the bytes are not those kept."""
        path = self.folder / f"{letter.name}.xdr"
        try:
            data = path.read_bytes()
        except OSError as error:
            raise SourceError(
                f"the bytes of dead letter {letter.name} cannot be read ({os.strerror(error.errno or 0)}): "
                f"put {path} back, or drop the dead letter"
            ) from error
        if hashlib.sha256(data).hexdigest() != letter.sha256:
            raise SourceError(f"{path} is not what was put there: restore it, or drop the dead letter")
        return LedgerChunk(data, letter.framing, letter.ledger, letter.last, str(path), letter.fetched)

    def close_gaps(self, ledgers: LedgerSet) -> None:
        """Forget this job's letters of ledgers that have become durable after all.

        A letter that is not as it was put may name a ledger that it is not of: it stays.
        """
        for letter in self.entries() if ledgers else ():
            durable = not LedgerSet([LedgerRange(letter.ledger, letter.last)]) - ledgers
            if durable and letter.job == self._job and self._is_as_put(letter):
                self.forget(letter)

    def _is_as_put(self, letter: DeadLetter) -> bool:
        """Tell whether a letter's name is that of its bytes and of what it says it is of."""
        try:
            data = (self.folder / f"{letter.name}.xdr").read_bytes()
        except OSError:
            return False
        lasts = (letter.last, None) if letter.last == letter.ledger else (letter.last,)
        return letter.name in [
            _name(hashlib.sha256(data), letter.ledger, last, letter.tables, letter.job) for last in lasts
        ]

    def drop(self, ledger: int) -> int:
        """Forget the letters of a ledger and return how many there were."""
        dropped = self.get(ledger)
        for letter in dropped:
            self.forget(letter)
        return len(dropped)

    def forget(self, letter: DeadLetter) -> None:
        """Remove one letter; one that is gone already is no error."""
        with self._translate_os_errors():
            for ending in ("json", "xdr"):  # bytes without a word about them are no letter
                (self.folder / f"{letter.name}.{ending}").unlink(missing_ok=True)
            if self.folder.is_dir():
                sync_folder(self.folder)

    def _read(self, pattern: str) -> Iterator[DeadLetter | Damaged]:
        for path in sorted(self.folder.glob(pattern)):
            try:
                yield _letter(path)
            except FileNotFoundError:
                continue  # another process has just dropped it
            except OSError as error:
                why = os.strerror(error.errno or 0)
                raise SourceError(f"{path} cannot be read ({why}): check its permissions") from error
            except Damaged as error:
                _log.error("%s", error)
                yield error

    def _place(self, name: str, content: bytes) -> None:
        with written_aside(self.folder / name) as aside, private_file(aside, "xb") as file:
            file.write(content)

    @contextmanager
    def _translate_os_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SinkUnavailable(
                f"dead letters cannot be kept in {self.folder} ({reason(error)}):"
                f" {remedy(error, 'choose another folder')}, then run the same again"
            ) from error


def _written(letter: DeadLetter) -> bytes:
    report = {"format": _FORMAT, **asdict(letter)}
    return json.dumps({**report, _CHECKSUM: _checksum(report)}, indent=1).encode()


def _letter(path: Path) -> DeadLetter:
    """Read a letter; one without a checksum is of the first format."""
    data = path.read_bytes()
    try:
        held = dict(json.loads(data))
        checksum = held.pop(_CHECKSUM, None)
        if held["name"] != path.stem:  # by which its files are found, and removed
            raise ValueError(f"it says that its name is {held['name']}")
        if checksum is not None and checksum != _checksum(held):
            raise ValueError("its checksum is another")
        if held.pop("format", 1) != (1 if checksum is None else _FORMAT):
            raise ValueError("it is of another version")
        letter = DeadLetter(**{**held, "tables": tuple(held["tables"])})
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Damaged(f"{path} is no dead letter ({error}): restore a sound copy, or delete it") from error
    return letter


def _checksum(told: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _name(
    content: hashlib._Hash, ledger: int, last: int | None, tables: Sequence[str], job: Mapping[str, Any]
) -> str:
    mark = content.copy()
    mark.update(json.dumps([ledger, last, list(tables), dict(job)], sort_keys=True).encode())
    return f"{ledger:010d}-{mark.hexdigest()[:_DIGEST]}"
