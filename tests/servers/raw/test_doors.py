"""Who may come in, and how they prove it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2
from pyarrow import flight

from fakes.doorman import Doorman
from fakes.rpc import RpcNode
from servers.raw.relayed import ANYWHERE, MakeRelay, health_of
from stellarrow.proto.raw_ledger_service_pb2 import RawLedger, StreamLedgersRequest
from stellarrow.security.access import Access
from stellarrow.security.tls import Tls
from stellarrow.servers.raw.flight import RawLedgerFlight
from stellarrow.servers.raw.grpc import RawLedgerServer

KNOWN = Access([Doorman()])


def test_grpc_asks_who_one_is(node: RpcNode, relayed: MakeRelay) -> None:
    relay = relayed(node).relay
    with (
        closing(RawLedgerServer(ANYWHERE, relay, access=KNOWN)) as server,
        grpc.insecure_channel(str(server.address)) as channel,
    ):
        server.start()
        call = channel.unary_stream(
            "/raw_ledger_service.RawLedgerService/StreamRawLedgers",
            request_serializer=StreamLedgersRequest.SerializeToString,
            response_deserializer=RawLedger.FromString,
        )
        with pytest.raises(grpc.RpcError, match="authentication required"):
            next(call(StreamLedgersRequest(start_ledger=139)))
        stream = call(StreamLedgersRequest(start_ledger=139), metadata=(("authorization", "Bearer right"),))
        assert next(stream).sequence == 139
        stream.cancel()


@pytest.fixture
def identity(tmp_path: Path) -> tuple[Tls, bytes, bytes, bytes]:
    """A server's TLS, and a client's authority, certificate and key."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_pem.write_to_path(tmp_path / "key")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate")
    authority.cert_pem.write_to_path(tmp_path / "ca")
    tls = Tls(tmp_path / "certificate", tmp_path / "key", tmp_path / "ca")
    return tls, authority.cert_pem.bytes(), issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()


def test_both_speak_mutual_tls(
    node: RpcNode, relayed: MakeRelay, identity: tuple[Tls, bytes, bytes, bytes]
) -> None:
    tls, authority, certificate, key = identity
    relay = relayed(node).relay
    with closing(RawLedgerServer(ANYWHERE, relay, tls=tls)) as server:
        server.start()
        place = f"localhost:{server.address.port}"
        with grpc.secure_channel(place, grpc.ssl_channel_credentials(authority, key, certificate)) as channel:
            assert health_of(channel) == health_pb2.HealthCheckResponse.NOT_SERVING
        with (
            grpc.secure_channel(place, grpc.ssl_channel_credentials(authority)) as channel,
            pytest.raises(grpc.RpcError),
        ):
            health_of(channel)
    with closing(RawLedgerFlight(ANYWHERE, relay, source_type="rpc", source_url="x", tls=tls)) as server:
        place = f"grpc+tls://localhost:{server.address.port}"
        with flight.connect(
            place, tls_root_certs=authority, cert_chain=certificate, private_key=key
        ) as client:
            assert len(list(client.list_flights())) == 1


# Flight


def test_flight_asks_who_one_is(node: RpcNode, relayed: MakeRelay) -> None:
    relay = relayed(node).relay
    with (
        closing(RawLedgerFlight(ANYWHERE, relay, source_type="rpc", source_url="x", access=KNOWN)) as server,
        flight.connect(f"grpc://{server.address}") as client,
    ):
        with pytest.raises(flight.FlightUnauthenticatedError, match="authentication required"):
            list(client.list_flights())
        right = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer right")])
        assert len(list(client.list_flights(options=right))) == 1


# Weather
