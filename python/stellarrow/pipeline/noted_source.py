"""A source of which each chunk is noted, in order, before anybody decodes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stellarrow.ledgers import LedgerChunk, LedgerRange, LedgerSet, Network
from stellarrow.protocols import Refetching, Source

Note = Callable[[LedgerChunk], None]


def noting(source: Source, note: Note) -> Source:
    """Return the source, telling `note` of each chunk that passes."""
    return _RefetchingNoted(source, note) if isinstance(source, Refetching) else _Noted(source, note)


class _Noted:
    def __init__(self, source: Source, note: Note) -> None:
        self._source = source
        self._note = note

    def available(self) -> LedgerSet:
        return self._source.available()

    def network(self) -> Network | None:
        return self._source.network()

    def read(self, ledgers: LedgerRange) -> Iterator[LedgerChunk]:
        for chunk in self._source.read(ledgers):
            self._note(chunk)
            yield chunk

    def close(self) -> None:
        self._source.close()


class _RefetchingNoted(_Noted):
    """The same of a source whose bytes may be damaged on their way."""

    def refetch(self, chunk: LedgerChunk) -> LedgerChunk:
        assert isinstance(self._source, Refetching)  # noqa: S101  for the type checker
        return self._source.refetch(chunk)
