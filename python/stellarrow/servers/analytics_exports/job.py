"""An export: what was asked, as of which ledger, how far it is, and its files."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from stellarrow.errors import Damaged
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.ledgers.dates import shown

WAITING: Final = "waiting"
RUNNING: Final = "running"
DONE: Final = "done"
FAILED: Final = "failed"
UNFINISHED: Final = (WAITING, RUNNING)
_STATES: Final = (*UNFINISHED, DONE, FAILED)
_ID_BYTES: Final = 16


def new_id() -> str:
    """Return an id that nobody guesses."""
    return secrets.token_hex(_ID_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that is there whole; its ledgers are those that it covers, with and without rows."""

    name: str
    bytes: int
    rows: int
    sha256: str
    first_ledger: int
    last_ledger: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An export at a moment; times are unix seconds.

    `query` is what was asked, as JSON has it, `ledgers` are those that it is of: they stay the same however
    long it takes. Of SQL they are empty, as its answer is computed at once.
    """

    id: str
    owner: str
    format: str
    query: Mapping[str, Any] = field(repr=False)
    as_of: int = 0
    ledgers: LedgerSet = field(default_factory=LedgerSet)
    state: str = WAITING
    created_at: int = 0
    ended_at: int = 0
    expires_at: int = 0
    files: tuple[File, ...] = ()
    error: str = ""
    is_truncated: bool = False
    gaps: tuple[Mapping[str, Any], ...] = ()

    @property
    def is_finished(self) -> bool:
        return self.state not in UNFINISHED

    @property
    def bytes(self) -> int:
        return sum(one.bytes for one in self.files)

    @property
    def left(self) -> LedgerSet:
        """The ledgers that no file covers yet."""
        if not self.files:
            return self.ledgers
        return self.ledgers - LedgerSet([LedgerRange(0, self.files[-1].last_ledger)])

    def to_dict(self) -> dict[str, Any]:
        """Say how it is to who asked for it."""
        moments = {name: getattr(self, name) for name in ("created_at", "ended_at", "expires_at")}
        return {
            "id": self.id,
            "state": self.state,
            "format": self.format,
            "query": dict(self.query),
            "as_of_ledger": self.as_of or None,
            **{name: shown(at) if at else None for name, at in moments.items()},
            "rows": sum(one.rows for one in self.files),
            "bytes": self.bytes,
            "ledgers": self.ledgers.count if self.ledgers else 0,
            "ledgers_left": self.left.count if self.left and not self.is_finished else 0,
            "truncated": self.is_truncated,
            "files": [
                {**asdict(one), "path": f"/v1/exports/{self.id}/files/{one.name}"} for one in self.files
            ],
            "error": self.error or None,
            **({"gaps": [dict(one) for one in self.gaps]} if self.gaps else {}),
        }

    def kept(self) -> dict[str, Any]:
        """Return what is kept of it on disk."""
        held = {one.name: getattr(self, one.name) for one in fields(self)}
        held["query"] = dict(self.query)
        held["ledgers"] = [[part.first, part.end] for part in self.ledgers]
        held["files"] = [asdict(one) for one in self.files]
        held["gaps"] = [dict(one) for one in self.gaps]
        return held

    @classmethod
    def of_kept(cls, held: Mapping[str, Any]) -> Job:
        """Read what kept() made; Damaged where it is something else."""
        try:
            ledgers = LedgerSet([LedgerRange(first, last) for first, last in held["ledgers"]])
            files = tuple(File(**one) for one in held["files"])
            gaps = tuple(dict(one) for one in held.get("gaps", ()))
            made = cls(**{**held, "ledgers": ledgers, "files": files, "gaps": gaps})
            if made.state not in _STATES or any("/" in one.name or not one.name for one in files):
                raise ValueError(made.state)
        except (KeyError, TypeError, ValueError) as error:
            raise Damaged(f"an export's own file is damaged ({error!r})") from error
        return made
