"""Why a connection could not be made, in words that say what to do, of what gRPC, Flight and OpenSSL say."""

from __future__ import annotations

import re
from typing import Final

_SPOKEN: Final = re.compile(r"^Flight (?:returned|error:)[^:]*(?:, with message)?: ")
_REASONS: Final = (
    (r"certificate has expired|certificate is not yet valid", "its certificate is not valid at this time"),
    (
        r"self.signed certificate|unable to get (?:local )?issuer|(?i:certificate.verify.failed)",
        "nobody trusted here signed its certificate: name who did as its CA",
    ),
    (
        r"not in peer certificate|[Hh]ostname mismatch|doesn't match|IP address mismatch",
        "its certificate is for another name: ask for it by that name",
    ),
    (
        r"certificate required|bad certificate|tlsv13 alert",
        "it asks for a certificate of ours: name one and its key",
    ),
    (
        r"WRONG_VERSION_NUMBER|wrong version number|http request|packet length too long",
        "it speaks no TLS: ask for it without",
    ),
    (r"Connection refused", "the connection is refused: nothing listens there"),
    (
        r"DNS resolution failed|[Nn]ame or service not known|[Nn]o address associated|name resolution",
        "there is no host of that name",
    ),
    (
        r"Socket closed|Connection reset|Remote end closed",
        "it closes connections: if it speaks TLS, ask for it so",
    ),
)
_KNOWN: Final = tuple((re.compile(pattern), words) for pattern, words in _REASONS)
_CONNECTING: Final = (
    "failed to connect",
    "handshake",
    "urlopen",
    "SSL",
    "DNS resolution",
    "Remote end closed",
)


def connection_reason(said: str) -> str:
    """Return why a connection could not be made; what is about something else stays as it was."""
    said = _SPOKEN.sub("", said)
    if not any(one in said for one in _CONNECTING):
        return said
    return next((words for pattern, words in _KNOWN if pattern.search(said)), said)
