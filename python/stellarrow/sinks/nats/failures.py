"""What servers refuse, as our own errors."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Any, Final

from nats import errors

from stellarrow.errors import ConfigError, SchemaMismatch, SinkError, SinkUnavailable
from stellarrow.net.redaction import redacted_text
from stellarrow.sinks.transactional.message_sink import Overtaken

STREAM_NOT_FOUND: Final = 10059
STREAM_IS_THERE: Final = 10058
# Another writer has written to the subject since we looked.
_OVERTAKEN: Final = frozenset((10071, 10164))
_AWAY: Final = "start the server or check the address, then run the same again"
_GRANT: Final = (
    "let this user publish to the subjects and to $JS.API.>, and subscribe to its inbox (docs/nats.md)"
)
_REMEDIES: Final = {
    10039: "give the account JetStream",
    10060: "choose the stream that the subjects belong to, or another subject_prefix",
    10065: "choose another subject_prefix, or name the stream that has these subjects",
    10074: "lower replicas, or start more servers",
    10076: "start the server with JetStream (nats-server -js)",
    10166: "choose another stream, or let this one have allow_msg_ttl",
    10174: "use nats-server 2.12 or newer, and a stream with allow_atomic",
    10199: "raise jetstream.limits.max_batch_size of the server to 1000",
}
_ROOM: Final = "give the stream or the account more room (max_bytes, max_msgs)"
_LACKING: Final = frozenset(
    (10002, 10023, 10028, 10047, 10077, 10122)
)  # of storage, in an account or a stream


def api_error(told: dict[str, Any], *, doing: str, server: str) -> Exception:
    """Return our error for one that JetStream answered with."""
    number = int(told.get("err_code") or 0)
    if number in _OVERTAKEN:
        return Overtaken()
    said = f"cannot {doing} {server} ({told.get('description') or 'no reason given'})"
    if number in _LACKING:
        return SinkError(f"{said}: {_ROOM}, then run the same again")
    if remedy := _REMEDIES.get(number):
        return SinkError(f"{said}: {remedy}, then run the same again")
    if int(told.get("code") or 0) >= 429 or "batch" in str(told.get("description")):
        return SinkUnavailable(f"{said}: {_AWAY}")
    return SinkError(f"{said}: fix that, then run the same again")


def client_error(error: BaseException, *, doing: str, server: str) -> Exception:
    """Return our error for one of the client's; it never shows how we log in."""
    text = (
        " ".join(redacted_text(str(error)).split()).removeprefix("nats: ").rstrip(".") or type(error).__name__
    )
    said = f"cannot {doing} {server} ({text[:300]})"
    if isinstance(error, errors.AuthorizationError) or "uthorization" in text:
        return SinkError(
            f"{said}: set the right user, password, token or credentials, then run the same again"
        )
    if "ermissions violation" in text:
        return SinkError(f"{said}: {_GRANT}, then run the same again")
    if isinstance(error, ssl.SSLError | ssl.CertificateError):
        return SinkError(f"{said}: give the right CA in ca=FILE, then run the same again")
    if isinstance(error, errors.SecureConnRequiredError) or "TLS" in text or "tls" in text:
        return SinkError(
            f"{said}: write tls=yes in the address, or the files of TLS, then run the same again"
        )
    if isinstance(error, errors.InvalidUserCredentialsError | ValueError):
        return ConfigError(f"{said}: give a credentials file as nsc makes them")
    if isinstance(error, errors.NoRespondersError):
        return SinkUnavailable(f"{said}: start the server with JetStream (nats-server -js)")
    if isinstance(error, TimeoutError | asyncio.TimeoutError | OSError | errors.Error):
        return SinkUnavailable(f"{said}: {_AWAY}")
    return SinkError(f"{said}: fix that, then run the same again")


def answer_of(data: bytes, *, doing: str, server: str) -> dict[str, Any]:
    """Return JetStream's answer; an error in it is raised as ours."""
    try:
        told: dict[str, Any] = json.loads(data)
        failed = told.get("error")
    except (ValueError, AttributeError) as error:
        raise SinkError(f"cannot {doing} {server} (it answered {data[:60]!r}): use NATS JetStream") from error
    if failed:
        raise api_error(failed, doing=doing, server=server)
    return told


def unfit(stream: str, reason: str) -> SchemaMismatch:
    """Return the refusal of a stream that would lose rows or coverage."""
    return SchemaMismatch(f"stream {stream} {reason}, or choose another stream")
