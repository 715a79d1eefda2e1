"""Raw ledgers over gRPC."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import stellarrow as sa
from fakes.rpc import RpcNode
from servers.raw.relayed import ANYWHERE, BRISK, MakeRelay, corrupted, health_of
from stellarrow.proto.raw_ledger_service_pb2 import RawLedger, StreamLedgersRequest
from stellarrow.servers.raw.grpc import RawLedgerServer
from stellarrow.sources.grpc import GrpcSource


def test_grpc_clients_read_at_their_own_positions(raw: RawLedgerServer) -> None:
    seen: dict[int, list[int]] = {}

    def read(first: int) -> None:
        with closing(GrpcSource(f"grpc://{raw.address}")) as source:
            seen[first] = [chunk.first for chunk in source.read(sa.LedgerRange(first, 139))]

    threads = [threading.Thread(target=read, args=(first,)) for first in (100, 111, 125, 139)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {first: list(range(first, 140)) for first in (100, 111, 125, 139)}


def test_grpc_says_what_is_wrong(node: RpcNode, raw: RawLedgerServer) -> None:
    with closing(GrpcSource(f"grpc://{raw.address}", policy=BRISK)) as source:
        with pytest.raises(sa.LedgerMissing, match="ledger 60 is no longer in"):
            next(source.read(sa.LedgerRange(60)))
        corrupted(node, 117)
        with pytest.raises(sa.SourceError, match=r"ledger 117 .* is not sound"):
            list(source.read(sa.LedgerRange(110)))


def test_grpc_tells_its_health_and_its_services(raw: RawLedgerServer) -> None:
    service = "raw_ledger_service.RawLedgerService"
    with grpc.insecure_channel(str(raw.address)) as channel:
        assert health_of(channel, service) == health_pb2.HealthCheckResponse.NOT_SERVING
        raw.serving(True)
        assert health_of(channel, service) == health_pb2.HealthCheckResponse.SERVING
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        (answer,) = stub.ServerReflectionInfo(iter([request]))
        assert service in [one.name for one in answer.list_services_response.service]


def test_a_stream_ends_at_a_ledger_when_the_server_drains(node: RpcNode, relayed: MakeRelay) -> None:
    held = relayed(node)
    with (
        closing(RawLedgerServer(ANYWHERE, held.relay)) as server,
        grpc.insecure_channel(str(server.address)) as channel,
    ):
        server.start()
        stream = channel.unary_stream(
            "/raw_ledger_service.RawLedgerService/StreamRawLedgers",
            request_serializer=StreamLedgersRequest.SerializeToString,
            response_deserializer=RawLedger.FromString,
        )(StreamLedgersRequest(start_ledger=130))
        seen = [next(stream).sequence for _ in range(10)]
        held.relay.close()
        seen += [message.sequence for message in stream]
        assert stream.code() is grpc.StatusCode.OK
    assert seen == list(range(130, 140))
