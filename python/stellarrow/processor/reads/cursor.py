"""How far a reader is, to the row, as a token it may come back with."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field

from stellarrow.errors import ConfigError
from stellarrow.processor.reads.request import EARLIEST, LATEST, Command


class OfAnotherQuestion(ConfigError):
    """A token is sound, and of something else than what is asked."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Everything up to the ledger `after` was sent, and `row` rows of the next."""

    after: int
    row: int = 0


@dataclass(slots=True)
class Cursor:
    """A reader's place in each session it reads, by the session's id; a range has one, under no name.

    `shape` is what was asked for: the place of one question is none in the answer to another.
    """

    shape: str
    places: dict[str, Place] = field(default_factory=dict)

    def token(self) -> str:
        held = {key: [place.after, place.row] for key, place in self.places.items()}
        answer = json.dumps([self.shape, held], separators=(",", ":"))
        return base64.urlsafe_b64encode(answer.encode()).decode().rstrip("=")

    @classmethod
    def of_token(cls, token: str, *, shape: str) -> Cursor:
        """Read a token; ConfigError where it is none, or of another question."""
        read = cls.read(token)
        if read.shape != shape:
            raise OfAnotherQuestion(
                "the resume token is of another command: table, filter and range must be the same as then"
            )
        return read

    @classmethod
    def read(cls, token: str) -> Cursor:
        """Read a token, of whatever question; ConfigError where it is none."""
        try:
            padded = token.encode() + b"=" * (-len(token) % 4)
            made_for, held = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            places = {str(key): _place(after, row) for key, (after, row) in held.items()}
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ConfigError(
                f'"from" is {token[:40]!r}: it must be earliest, latest, or the resume of a batch'
            ) from error
        return cls(str(made_for), places)


def cursor_of(command: Command) -> Cursor:
    """Return where a command begins: at a resume token's places, or nowhere yet."""
    if command.origin in (EARLIEST, LATEST):
        return Cursor(command.shape)
    return Cursor.of_token(command.origin, shape=command.shape)


def _place(after: object, row: object) -> Place:
    if type(after) is int and type(row) is int and 0 <= after < 1 << 32 and 0 <= row < 1 << 31:
        return Place(after, row)
    raise ValueError(f"{after!r} and {row!r} are no place")
