"""One RPC node: its network, its window of ledgers, and pages out of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final, TypeVar

from stellarrow.errors import LedgerMissing, SourceError, SourceUnavailable, Unavailable
from stellarrow.ledgers import LedgerRange, Network
from stellarrow.net.resilience import Guard
from stellarrow.sources.rpc.connection import Connection
from stellarrow.sources.rpc.refusals import NodeFailed, Refused, TooLarge

Result = TypeVar("Result")

_PAGE_BYTES: Final = 16 << 20  # of an answer: large enough to hide the round trip, small enough to hold three
_MOST: Final = 200  # ledgers a page, the usual cap of a server
_GROWTH: Final = 4
_PAGES_TO_TRUST: Final = 16  # full pages after which a size that was cut is tried larger again


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive ledgers of one answer, base64 as it came."""

    first: int
    metas: list[str] = field(repr=False)
    bytes: int
    where: str

    @property
    def last(self) -> int:
        return self.first + len(self.metas) - 1


class Node:
    """Asks one node for ledgers in pages that suit it.

    The cursor of its last page is used while the reading goes straight on, and never beside a start ledger.
    """

    def __init__(self, connection: Connection, guard: Guard) -> None:
        self.name = connection.name
        self.guard = guard
        self._connection = connection
        self._limit = 4  # ledgers of the first page; 1.3 MB each are 7 MB of base64
        self._cap = _MOST
        self._full_pages = 0  # in a row, since the cap was last changed
        self._cursor: tuple[int, str] | None = None  # what comes next, and the cursor for it
        self._rest_until = 0.0
        self._refuses_early = False  # it takes a start that is still to come for a mistake
        self._network: Network | None = None

    def network(self) -> Network:
        """Return the node's network, asked once."""
        if self._network is None:
            self._network = Network.from_passphrase(self._text("getNetwork", "passphrase"))
        return self._network

    def window(self) -> LedgerRange:
        """Return the oldest and the latest ledger the node holds."""
        health, _ = self._call("getHealth")
        return self._shaped(
            "getHealth", lambda: LedgerRange(int(health["oldestLedger"]), int(health["latestLedger"]))
        )

    def page(self, due: int, last: int) -> Page | None:
        """Return ledgers from `due` on, none beyond `last`; None where the node has not come so far yet."""
        # Not getLatestLedger: newer nodes answer it with the whole ledger.
        if self._refuses_early and self.window().end < due:
            return None
        following = self._cursor  # once: another thread may be reading too
        if following and following[0] == due:
            page = self._asked(due, last, following[1])
            if page is None or page.metas:
                return page
        # The cursor led elsewhere, or there is none.
        page = self._asked(due, last, None)
        if page is None or page.metas:
            return page
        window = self.window()
        if due in window:
            raise LedgerMissing(f"{self.name} holds the ledgers {window}, but left {due} out")
        self._check_reached(due, window)
        return None

    def close(self) -> None:
        self._connection.close()

    def _asked(self, due: int, last: int, cursor: str | None) -> Page | None:
        limit = min(self._limit, last - due + 1)
        pagination = {"cursor": cursor, "limit": limit} if cursor else {"limit": limit}
        params: dict[str, Any] = {"pagination": pagination, "xdrFormat": "base64"}
        if not cursor:
            params["startLedger"] = due
        self._cursor = None
        try:
            answer, size = self._call("getLedgers", params)
        except Refused as refused:
            return self._after_refusal(refused, due, last, cursor, limit)
        except TooLarge:
            if limit == 1:
                raise
            self._limit = limit // 2
            return self._asked(due, last, cursor)
        except Unavailable as error:
            self._after_failure(error, due)
            return None
        page = self._shaped("getLedgers", lambda: _page(answer, due, last, size, self.name))
        if page.metas:
            self._refuses_early = False
            self._adapt(size / len(page.metas), is_full=len(page.metas) == limit)
            if answer.get("cursor") and int(answer["ledgers"][-1]["sequence"]) == page.last:
                self._cursor = page.last + 1, str(answer["cursor"])
            return page
        if due > self._shaped("getLedgers", lambda: int(answer["latestLedger"])):
            if cursor and not answer["ledgers"]:
                self._cursor = due, cursor
            return None
        return page

    def _after_failure(self, error: Unavailable, due: int) -> None:
        """Raise the error, unless what it is about is a ledger still to come."""
        if not error.busy:
            self._limit = max(1, self._limit // 2)  # it may have been too much at once
        if not isinstance(error, NodeFailed) or self._holds(due):
            raise error

    def _after_refusal(
        self, refused: Refused, due: int, last: int, cursor: str | None, limit: int
    ) -> Page | None:
        """Find out what a node means that takes no page: too many ledgers, or none of these."""
        if fitting := refused.fitting_page(limit):
            self._cap, self._full_pages = min(self._cap, fitting), 0
            self._limit = self._cap
            return self._asked(due, last, cursor)
        if self._holds(due):
            if cursor:
                return self._asked(due, last, None)
            raise refused
        return None

    def _holds(self, due: int) -> bool:
        """Tell whether a ledger is in the node's window; one that is to come is not asked for until it is."""
        window = self.window()
        if due in window:
            return True
        self._check_reached(due, window)
        self._refuses_early = True
        return False

    def _check_reached(self, due: int, window: LedgerRange) -> None:
        if due < window.first:
            raise LedgerMissing(
                f"ledger {due} is no longer in {self.name}, whose oldest is {window.first} and latest"
                f" {window.last}: start there, or put a lake before it (--source LAKE,RPC)"
            )

    def _adapt(self, ledger_bytes: float, *, is_full: bool) -> None:
        self._full_pages = self._full_pages + 1 if is_full and self._limit == self._cap else 0
        if self._full_pages >= _PAGES_TO_TRUST:
            self._cap, self._full_pages = min(_MOST, self._cap * 2), 0
        fitting = round(_PAGE_BYTES / max(1.0, ledger_bytes))
        self._limit = max(1, min(fitting, self._limit * _GROWTH, self._cap))

    def _call(self, method: str, params: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], int]:
        if (rest := self._rest_until - time.monotonic()) > 0:
            raise SourceUnavailable(f"{self.name} asked to be left alone for a while", retry_after=rest)
        try:
            return self.guard.call(method, lambda: self._connection.call(method, params))
        except Unavailable as error:
            if error.retry_after:
                self._rest_until = time.monotonic() + error.retry_after
            raise

    def _text(self, method: str, key: str) -> str:
        answer, _ = self._call(method)
        return self._shaped(method, lambda: str(answer[key]))

    def _shaped(self, method: str, read: Callable[[], Result]) -> Result:
        try:
            return read()
        except (KeyError, TypeError, ValueError) as error:
            raise SourceError(
                f"{self.name} answered {method} in a form no RPC node should ({error!r}): check the URL"
            ) from error


def _page(answer: Mapping[str, Any], due: int, last: int, size: int, where: str) -> Page:
    """Take the ledgers that follow one another from `due` on; what lies before, or after a gap, is left."""
    ledgers = [one for one in answer["ledgers"] if due <= int(one["sequence"]) <= last]
    following = takewhile(lambda pair: int(pair[1]["sequence"]) == pair[0], enumerate(ledgers, due))
    metas = [one["metadataXdr"] for _, one in following]
    if not all(isinstance(meta, str) for meta in metas):
        raise TypeError("metadataXdr")
    return Page(due, metas, size, where)
