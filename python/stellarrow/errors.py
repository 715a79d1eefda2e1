"""Every error stellarrow raises on purpose.

StellarrowError
├── Unavailable               a server does not answer now (.retry_after)
├── Stopped                   a wait ended because the work was asked to stop
├── SourceError               ledgers cannot be read
│   ├── LedgerMissing         the place is there, a ledger in it is not
│   ├── LedgerUnsound         a ledger is damaged, or of another chain or network (.ledger)
│   └── SourceUnavailable     the place itself does not answer (also Unavailable)
├── UnknownSession            the processor has no session of that id
├── UnknownReader             the processor keeps no place of a reader of that name
├── AccessRefused             a server does not let a caller do what it asks for
│   ├── Unauthenticated       the caller has not proven who it is
│   ├── PermissionDenied      the caller is known, and may not do this
│   └── TooManyCalls          the caller is faster than it may be (.retry_after)
├── UnknownApiKey             there is no API key of that name
├── ApiKeyExists              there is an API key of that name already
├── DecodeError               the bytes are not what the chain writes (.ledger, .path, .offset)
├── NetworkMismatch           the ledgers are of another network than the one named
├── ChainBroken               two neighbouring ledgers do not link
├── SinkError                 batches cannot be kept
│   ├── SchemaMismatch        the place holds something else already
│   ├── Damaged               what was stored there is not what was written
│   ├── LedgersRefused        the place will not take these rows, however often it is asked
│   └── SinkUnavailable       the place itself does not answer (also Unavailable)
└── ConfigError               what was asked for makes no sense (also a ValueError)
"""

from collections.abc import Callable, Iterable
from typing import Final

from stellarrow.net.redaction import redacted_text

_LONGEST: Final = 4_000  # characters of a message; gRPC takes 8 KB of them


class StellarrowError(Exception):
    """Anything stellarrow raises on purpose; no message shows a password or a key that a URL holds."""

    def __init__(self, message: str = "", *rest: object) -> None:
        super().__init__(redacted_text(message, longest=_LONGEST), *rest)


class Unavailable(StellarrowError):
    """A server does not answer, or not now: the only errors that are tried again.

    `retry_after` is how many seconds the server asked to wait, if it did; `busy` tells that it is asked too
    often, and that nothing is wrong with what it was asked for.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, busy: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.busy = busy


class Stopped(StellarrowError):
    """A wait was cut short because the work was asked to stop; nothing is wrong."""


class SourceError(StellarrowError):
    """Ledgers could not be read from where they lie."""


class LedgerMissing(SourceError):
    """A ledger that was asked for is not in the source."""


class LedgerUnsound(SourceError):
    """A ledger of the source is corrupt, of another chain or of another network: it is not passed on.

    `ledger` is its sequence, 0 where unknown.
    """

    def __init__(self, message: str, *, ledger: int = 0) -> None:
        super().__init__(message)
        self.ledger = ledger

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the ledger, so that an error crosses a process border whole."""
        return type(self), self.args, {"ledger": self.ledger}


class SourceUnavailable(SourceError, Unavailable):
    """The source cannot be reached at all; trying again later may help."""


class UnknownSession(StellarrowError):
    """A session that was asked for is none of the processor's."""


class UnknownReader(StellarrowError):
    """A reader that was asked for has no place that is kept."""


class AccessRefused(StellarrowError):
    """A server does not let a caller do what it asks for."""


class Unauthenticated(AccessRefused):
    """A caller has not proven who it is."""


class PermissionDenied(AccessRefused):
    """A caller is known, and has no role that permits what it asks for."""


class TooManyCalls(AccessRefused):
    """A caller is faster than it may be; `retry_after` is how many seconds it should wait."""

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnknownApiKey(StellarrowError):
    """There is no API key of that name."""


class ApiKeyExists(StellarrowError):
    """There is an API key of that name already."""


class DecodeError(StellarrowError):
    """The bytes are no ledger the decoder knows.

    `ledger` is its sequence where known, `path` the XDR field, `offset` the byte in the uncompressed data.
    """

    def __init__(
        self, message: str, *, ledger: int | None = None, path: str | None = None, offset: int | None = None
    ) -> None:
        super().__init__(message)
        self.ledger = ledger
        self.path = path
        self.offset = offset

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the place, so that an error crosses a process border whole."""
        state = {"ledger": self.ledger, "path": self.path, "offset": self.offset}
        return type(self), self.args, state


class NetworkMismatch(StellarrowError):
    """The transactions' hashes prove another network passphrase than the one given."""


class ChainBroken(StellarrowError):
    """A header's hash, or its link to the ledger before it, is wrong."""


class SinkError(StellarrowError):
    """Batches could not be written."""


class SchemaMismatch(SinkError):
    """The sink already holds another table version, network or filter."""


class Damaged(SinkError):
    """Bytes that were read are not those that were written: proven, unlike a place that does not answer.

    Nothing was changed because of it. `what` is wrong with the file, without its name and what to do.
    """

    def __init__(self, message: str = "", *, what: str = "") -> None:
        super().__init__(message)
        self.what = what or message


class LedgersRefused(SinkError):
    """The sink will never take rows like these; what was not committed with them is not kept."""


class SinkUnavailable(SinkError, Unavailable):
    """The sink cannot be reached at all; trying again later may help."""


class ConfigError(StellarrowError, ValueError):
    """A name, range, filter or setting that cannot be meant."""


def nearest(word: str, known: Iterable[str], otherwise: str, *, show: Callable[[str], str] = str) -> str:
    """Return "did you mean …?" with the known word most like one, or what to say instead where none is."""
    from difflib import get_close_matches  # noqa: PLC0415  only a mistake pays for it

    close = get_close_matches(word[:100], list(known), n=1)  # it may be of any length
    return f"did you mean {show(close[0])}?" if close else otherwise


def joined(said: str, more: str) -> str:
    """Return two sentences as one text: behind what ends as a sentence the other begins with a capital."""
    if not said or not more:
        return said or more
    if said.endswith((".", "?", "!")):
        return f"{said} {more[0].upper()}{more[1:]}"
    return f"{said.rstrip(';,: ')}; {more}"
