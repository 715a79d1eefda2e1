"""Listings of an object store, bounded: one that never ends is a fault, not a wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from stellarrow.errors import SourceError
from stellarrow.extras import needing

with needing("an object store", "lake"):
    import obstore

Result = TypeVar("Result")


class Endless(SourceError):
    """A listing repeats itself, or goes on without a name."""


def pages(store: Any, prefix: str | None, *, after: str | None, size: int, seconds: float) -> Iterator[Any]:
    """Yield the pages of a listing, each within so many seconds; Endless where one comes again."""
    stream = obstore.list(store, prefix, offset=after, chunk_size=size)
    seen: set[str] = set()
    while (page := _within(seconds, lambda: _next(stream))) is not None:
        if page and page[0]["path"] in seen:
            raise Endless("its listing repeats itself without an end")
        if page:
            seen.add(page[0]["path"])
            yield page


def folder(store: Any, prefix: str | None, *, seconds: float) -> Any:
    """Return what lies in a folder itself: its objects, and the names of the folders in it."""
    return _within(seconds, lambda: obstore.list_with_delimiter_async(store, prefix))


async def _next(stream: Any) -> Any:
    try:
        return await anext(stream)
    except StopAsyncIteration:
        return None


def _within(seconds: float, start: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Do it in a thread of its own, as there may be a loop in this one; cancel it when it takes too long."""
    outcome: list[Result] = []
    failure: list[BaseException] = []

    async def bounded() -> None:
        outcome.append(await asyncio.wait_for(start(), seconds))

    def run() -> None:
        try:
            asyncio.run(bounded())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="stellarrow-list", daemon=True)
    thread.start()
    thread.join()
    if failure:
        if isinstance(failure[0], TimeoutError):
            raise Endless(f"its listing did not end in {seconds:g} s") from None
        raise failure[0]
    return outcome[0]
