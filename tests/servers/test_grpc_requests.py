"""What is no message is refused with a sentence, whichever method it is sent to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import grpc
import pytest

from stellarrow.net.address import Address
from stellarrow.proto import control_service_pb2 as messages
from stellarrow.servers.grpc_base import RpcServer, Streaming, Unary
from stellarrow.servers.processor_grpc import SERVICE as CONTROL
from stellarrow.servers.raw.grpc import SERVICE as RAW

METHODS = (
    f"/{CONTROL}/GetStatus",
    f"/{RAW}/StreamRawLedgers",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)


@pytest.fixture(scope="module")
def channel() -> Iterator[grpc.Channel]:
    read = messages.GetStatusRequest.FromString
    methods: dict[str, dict[str, Unary | Streaming]] = {
        CONTROL: {"GetStatus": Unary(lambda _: messages.GetStatusResponse(), read)},
        RAW: {"StreamRawLedgers": Streaming(lambda _asked, _left: iter(()), read)},
    }
    with closing(RpcServer(Address("127.0.0.1", 0), methods)) as server:
        server.start()
        with grpc.insecure_channel(str(server.address)) as opened:
            yield opened


@pytest.mark.parametrize(
    "sent", [b"\xff" * 50, b"\x0a\xff\xff\xff\xff\x0f", b"\x0b" * 10_000], ids=["bytes", "long", "deep"]
)
@pytest.mark.parametrize("method", METHODS)
def test_what_is_no_message_is_the_callers_fault_and_no_traceback(
    channel: grpc.Channel, caplog: pytest.LogCaptureFixture, method: str, sent: bytes
) -> None:
    call: Any = channel.stream_stream(method)
    with pytest.raises(grpc.RpcError) as refused:
        list(call(iter([sent]), timeout=60))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "no message that this method takes" in str(refused.value.details())
    assert caplog.records == []
