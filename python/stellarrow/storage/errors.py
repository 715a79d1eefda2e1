"""What an object store refused, read out of obstore's errors, and how people are told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from stellarrow.errors import SinkError, SinkUnavailable, SourceError, SourceUnavailable

ADVICE: Final = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or GOOGLE_… or AZURE_…), or an AWS_PROFILE"

_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>\s*(\w+)\s*</Code>")
_MESSAGE: Final = re.compile(r"<Message>\s*(.*?)\s*</Message>", re.DOTALL)
_DEBUG: Final = "\n\nDebug source"  # where obstore begins to repeat itself at length
# Codes beside 404 that say an object is not there; others say it of the bucket, or of the user.
_NO_OBJECT: Final = frozenset(("NoSuchKey", "BlobNotFound", "NotFound", ""))
_NO_BUCKET: Final = frozenset(("NoSuchBucket", "ContainerNotFound"))
_EXPIRED: Final = frozenset(
    ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired")
)
_BAD_KEYS: Final = frozenset(
    ("InvalidToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "AuthenticationFailed")
)
_TRY_LATER: Final = frozenset((408, 425, 429))


class Absent(SourceError):
    """There is no such object."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A server's answer: its HTTP status (0: there was none), its code and its words."""

    status: int
    code: str
    message: str
    is_answered: bool
    absent: bool
    is_elsewhere: bool

    @classmethod
    def of(cls, error: Exception) -> Refusal:
        text = str(error).partition(_DEBUG)[0]
        status, code, message = (pattern.search(text) for pattern in (_STATUS, _CODE, _MESSAGE))
        named = code[1] if code else ""
        return cls(
            status=int(status[1]) if status else 0,
            code=named,
            message=message[1].partition("\n")[0] if message else "",
            is_answered="error sending request" not in text,
            absent=isinstance(error, FileNotFoundError) and named in _NO_OBJECT,
            is_elsewhere="redirect without LOCATION" in text or named == "AuthorizationHeaderMalformed",
        )

    @property
    def is_expired(self) -> bool:
        return self.code in _EXPIRED

    @property
    def _said(self) -> str:
        if self.status:
            return f"the server answers {self.status} {self.code}".rstrip()
        return "no whole answer came" if self.is_answered else "the server does not answer"

    def told(self, place: str, *, writing: bool, anonymous: bool) -> SourceError | SinkError:
        """Return the error that tells it: what may work later is Unavailable."""
        final, passing = (SinkError, SinkUnavailable) if writing else (SourceError, SourceUnavailable)
        if self.absent:
            return Absent(f"{place} is not there: check the place and --endpoint")
        if self.is_expired:
            return final(f"{place}: the credentials have expired: renew them and run the same again")
        if self.is_elsewhere:
            return final(f"{place}: the bucket is in another region: set AWS_REGION to its own")
        if self.code in _NO_BUCKET:
            return final(f"{place}: there is no such bucket: check its name, the region and --endpoint")
        if self.status in (401, 403) or self.code in _BAD_KEYS:
            said = f"the server refuses ({self.code or self.status})"
            remedy = (
                f"no credentials were found and it is not public: {ADVICE}"
                if anonymous
                else "check the credentials and what they may do; AWS_SKIP_SIGNATURE=true goes without them"
            )
            return final(f"{place}: {said}: {remedy}")
        # A Retry-After of the server is not among what obstore tells, so it cannot be heeded.
        if self.status == 0 or self.status >= 500 or self.status in _TRY_LATER:
            return passing(f"{place}: {self._said}: check the network and the endpoint, or try again later")
        detail = f" {self.code}: {self.message}" if self.code else ""
        return final(f"{place}: the server answers {self.status}{detail}: check the place and --endpoint")


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
