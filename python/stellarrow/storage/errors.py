"""What an object store refused, read out of obstore's errors, and how people are told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from stellarrow.errors import SinkError, SinkUnavailable, SourceError, SourceUnavailable

_MACHINE: Final = (
    "the metadata service of this machine is asked only with --instance-credentials"
    " (INSTANCE_CREDENTIALS=true)"
)
_CREDENTIALS: Final = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or an AWS_PROFILE",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN",
}
_WEB: Final = (
    "give a key as --source-headers or --source-token (SOURCE_HEADERS, SOURCE_TOKEN), or in the URL where it"
    " belongs there"
)

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
_WRONG_KEYS: Final = _BAD_KEYS - {"AccessDenied"}  # they are about the keys, whatever was asked for
_TRY_LATER: Final = frozenset((408, 425, 429))
_UNABLE: Final = frozenset((405, 501, 505))  # the server will never do what was asked


class Absent(SourceError):
    """There is no such object."""


class Forbidden(SourceError):
    """The object is missing, or we may not have it; `answer` is what the server said."""

    def __init__(self, message: str, *, answer: str) -> None:
        super().__init__(message)
        self.answer = answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for: where, for people, and how."""

    place: str
    url: str
    writing: bool
    anonymous: bool
    through: str


def advice(url: str, *, anonymous: bool) -> str:
    """Return how to be let in, for the kind of store a URL names."""
    scheme = url.partition("://")[0]
    if scheme not in _CREDENTIALS:
        return _WEB
    if anonymous:
        return f"{_CREDENTIALS[scheme]}; {_MACHINE}"
    without = "; AWS_SKIP_SIGNATURE=true goes without them" if scheme == "s3" else ""
    return f"check the credentials and what they may do{without}"


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
    def is_unable(self) -> bool:
        return self.status in _UNABLE or self.code == "NotImplemented"

    @property
    def _said(self) -> str:
        if self.status:
            return f"the server answers {self.status} {self.code}".rstrip()
        return "no whole answer came" if self.is_answered else "the server does not answer"

    def to_error(self, asked: Asked) -> SourceError | SinkError:
        """Return the error that tells it: what may work later is Unavailable."""
        place = asked.place
        final, passing = (SinkError, SinkUnavailable) if asked.writing else (SourceError, SourceUnavailable)
        if self.absent:
            return Absent(f"{place} is not there: check the place and --endpoint")
        if self.is_expired:
            return final(f"{place}: the credentials have expired: renew them and run the same again")
        if self.is_elsewhere:
            return final(f"{place}: the bucket is in another region: set AWS_REGION to its own")
        if self.code in _NO_BUCKET:
            return final(f"{place}: there is no such bucket: check its name, the region and --endpoint")
        if self.status in (401, 403) or self.code in _BAD_KEYS:
            return self._refused(asked)
        if self.status == 407:
            return final(f"{place}: the proxy wants a password{asked.through}: give it in the proxy's URL")
        if self.is_unable:
            return final(
                f"{place}: the store lacks what this needs ({self.status} {self._detail}): use another store"
            )
        # A Retry-After of the server is not among what obstore tells, so it cannot be heeded.
        if self.status == 0 or self.status >= 500 or self.status in _TRY_LATER:
            remedy = "check the network and the endpoint, or try again later"
            return passing(f"{place}: {self._said}{asked.through}: {remedy}")
        detail = f" {self._detail}" if self.code else ""
        return final(f"{place}: the server answers {self.status}{detail}: check the place and --endpoint")

    @property
    def _detail(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code

    def _refused(self, asked: Asked) -> SourceError | SinkError:
        answer = self.code or str(self.status)
        remedy = advice(asked.url, anonymous=asked.anonymous)
        if asked.anonymous and remedy != _WEB:
            remedy = f"no credentials were found, {remedy}"
        if asked.writing:
            return SinkError(f"{asked.place}: the server refuses ({answer}): {remedy}")
        if self.status == 401 or self.code in _WRONG_KEYS:
            return SourceError(f"{asked.place}: the server refuses ({answer}): {remedy}")
        to_error = f"{asked.place} is missing, or not allowed: the server refuses ({answer}): {remedy}"
        return Forbidden(to_error, answer=answer)


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
