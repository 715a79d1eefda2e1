"""Flight SQL's messages on the wire: each in a `google.protobuf.Any`, which names its type."""

from __future__ import annotations

from typing import Any, Final

from stellarrow.errors import ConfigError
from stellarrow.extras import needing
from stellarrow.net.redaction import shortened

with needing("Flight SQL", "grpc"):
    from google.protobuf import any_pb2
    from google.protobuf.message import DecodeError, Message
    from google.protobuf.message_factory import GetMessageClass

    from stellarrow.proto import flight_sql_pb2 as messages

_PREFIX: Final = "type.googleapis.com/arrow.flight.protocol.sql."
_BEGINNING: Final = b"\n"  # of an Any's first field, its type
_MOST_BYTES: Final = 4 << 20
_KNOWN: Final[dict[str, type[Message]]] = {
    name: GetMessageClass(kind) for name, kind in messages.DESCRIPTOR.message_types_by_name.items()
}


class Untaken(ConfigError):
    """A message of Flight SQL that a server without writes and transactions has no answer for."""


def read(given: bytes) -> Message | None:
    """Return a message of Flight SQL, or None where the bytes are none; ConfigError where damaged."""
    if not given.startswith(_BEGINNING) or len(given) > _MOST_BYTES:
        return None
    wrapped = any_pb2.Any()
    try:
        wrapped.ParseFromString(given)
    except DecodeError:
        return None
    if not wrapped.type_url.startswith(_PREFIX):
        return None
    name = wrapped.type_url.removeprefix(_PREFIX)
    if name not in _KNOWN:
        raise Untaken(f"{shortened(name)} is not answered here: this server reads only, send a select")
    message = _KNOWN[name]()
    try:
        message.ParseFromString(wrapped.value)
    except DecodeError as error:
        raise ConfigError(f"the {name} is damaged ({error}): send it again") from error
    return message


def written(message: Any) -> bytes:
    """Return a message as it travels."""
    return any_pb2.Any(
        type_url=_PREFIX + message.DESCRIPTOR.name, value=message.SerializeToString()
    ).SerializeToString()
