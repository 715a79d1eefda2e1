"""What a JSON-RPC error means: by its code first, then by the node's own words, never by ours."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from stellarrow.errors import SourceError, SourceUnavailable
from stellarrow.net.redaction import redacted_text

_INVALID_REQUEST: Final = -32600
_NO_SUCH_METHOD: Final = -32601
_INVALID_PARAMS: Final = -32602
_FINAL: Final = frozenset((_INVALID_REQUEST, _NO_SUCH_METHOD, _INVALID_PARAMS))
# How providers say, in an answer of HTTP 200, that they are asked too often.
_BUSY_CODES: Final = frozenset((429, -429, -32005, -32007, -32029, -32097, -32098))
_BUSY_WORDS: Final = re.compile(
    r"too many requests|rate.?limit|request limit|requests? per|/\s?(?:second|sec|s|minute|min)\b"
    r"|limit (?:was |is |has been )?(?:reached|exceeded)|exceed\w* .{0,40}\b(?:rate|quota|capacity)\b"
    r"|quota|throttl|capacity|slow down|over(?:loaded| the limit)|too busy|try again (?:later|in)",
    re.IGNORECASE,
)
# A complaint about parameters is about how often it is asked only where it says so outright.
_BUSY_OUTRIGHT: Final = re.compile(
    r"too many requests|rate.?limit|request limit|requests? per|/\s?(?:second|sec|s|minute|min)\b",
    re.IGNORECASE,
)
_PAGE_WORDS: Final = re.compile(
    r"\blimit\b|\bpage size\b|too many ledgers|response (?:is )?too large", re.IGNORECASE
)
_WAITS: Final = ("backoff_seconds", "retry_after", "retryAfter", "retry_after_seconds")
_SHOWN: Final = 200  # characters of what a server says


class Refused(SourceError):
    """The node understood the call and will answer it the same way again.

    `told` is the node's own message.
    """

    def __init__(self, message: str, *, code: int = 0, told: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.told = told

    @property
    def about_parameters(self) -> bool:
        return self.code in (_INVALID_PARAMS, _INVALID_REQUEST)

    def fitting_page(self, limit: int) -> int | None:
        """Return how many ledgers a page may have by the node's words; None where they say nothing of it."""
        if not self.about_parameters or limit <= 1 or not _PAGE_WORDS.search(self.told):
            return None
        named = [int(number) for number in re.findall(r"\d{1,9}", self.told)]
        return max((one for one in named if 0 < one < limit), default=limit // 2)


class NodeFailed(SourceUnavailable):
    """The node answered with an error of its own, which may pass."""


class TooLarge(SourceError):
    """An answer was larger than any should be; of fewer ledgers it may not be."""


def error_of(error: Any, what: str, *, retry_after: float | None = None) -> SourceError:
    """Return the error that a node's JSON-RPC error means; only a mistake of the caller's is final."""
    answer = error if isinstance(error, dict) else {"message": error}
    code, words = answer.get("code"), str(answer.get("message"))[:_SHOWN]
    code = code if isinstance(code, int) and not isinstance(code, bool) else 0
    message = f"{what}: {redacted_text(words)}"
    if code in _BUSY_CODES or (_BUSY_OUTRIGHT if code in _FINAL else _BUSY_WORDS).search(words):
        wait = retry_after if retry_after is not None else _wait_of(answer.get("data"))
        return SourceUnavailable(message, retry_after=wait, busy=True)
    if code in _FINAL:
        return Refused(message, code=code, told=words)
    return NodeFailed(message, retry_after=retry_after)


def _wait_of(data: Any) -> float | None:
    """Return the seconds to wait that the error's data name."""
    if not isinstance(data, dict):
        return None
    rate = data.get("rate")
    for place in (data, rate if isinstance(rate, dict) else {}):
        for name in _WAITS:
            if isinstance(value := place.get(name), int | float) and math.isfinite(value) and value >= 0:
                return float(value)
    return None
