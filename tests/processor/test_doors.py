"""Who may come in: TLS, authentication, addresses others can reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from pyarrow import flight

import stellarrow as sa
from fakes.doorman import Doorman
from stellarrow.net.address import Address
from stellarrow.processor.processor import Options, Processor
from stellarrow.proto import control_service_pb2 as messages
from stellarrow.security.access import Access
from stellarrow.security.tls import Tls
from stellarrow.servers.processor_flight import FlightServer
from stellarrow.servers.processor_grpc import SERVICE, ControlServer
from stellarrow.sources.files import FileSource

from .conftest import ANYWHERE


@pytest.fixture
def processor(tmp_path: Path, make_lake: Callable[..., Path]) -> Iterator[Processor]:
    lake = make_lake()
    with closing(Processor(lambda: FileSource(lake), Options(state_dir=tmp_path / "state"))) as made:
        yield made


KNOWN = Access([Doorman()])


def status(channel: grpc.Channel, **choices: Any) -> grpc.StatusCode | None:
    call = channel.unary_unary(
        f"/{SERVICE}/GetStatus",
        messages.GetStatusRequest.SerializeToString,
        messages.GetStatusResponse.FromString,
    )
    with pytest.raises(grpc.RpcError) as caught:
        call(messages.GetStatusRequest(session_id="x"), timeout=10, **choices)
    code: grpc.StatusCode | None = caught.value.code()
    return code


def test_only_callers_the_authenticator_knows_come_in(processor: Processor) -> None:
    with closing(ControlServer(ANYWHERE, processor, access=KNOWN)) as server:
        server.start()
        with grpc.insecure_channel(str(server.address)) as channel:
            assert status(channel) is grpc.StatusCode.UNAUTHENTICATED
            allowed = [("authorization", "Bearer right")]
            assert status(channel, metadata=allowed) is grpc.StatusCode.NOT_FOUND
    with closing(FlightServer(ANYWHERE, processor, access=KNOWN)) as tables:
        client = flight.connect(f"grpc://{tables.address}")
        with pytest.raises(flight.FlightUnauthenticatedError, match="authentication required"):
            list(client.list_flights())
        allowed_call = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer right")])
        assert len(list(client.list_flights(options=allowed_call))) == 6
        client.close()


def test_both_speak_mutual_tls(processor: Processor, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate")
    issued.private_key_pem.write_to_path(tmp_path / "key")
    authority.cert_pem.write_to_path(tmp_path / "ca")
    root, chain, key = authority.cert_pem, issued.cert_chain_pems[0], issued.private_key_pem
    tls = Tls(tmp_path / "certificate", tmp_path / "key", tmp_path / "ca")
    with closing(ControlServer(ANYWHERE, processor, tls=tls)) as server:
        server.start()
        own = grpc.ssl_channel_credentials(root.bytes(), key.bytes(), chain.bytes())
        with grpc.secure_channel(str(server.address), own) as channel:
            assert status(channel) is grpc.StatusCode.NOT_FOUND
        stranger = grpc.ssl_channel_credentials(root.bytes())
        with grpc.secure_channel(str(server.address), stranger) as channel:
            assert status(channel) is grpc.StatusCode.UNAVAILABLE
    with closing(FlightServer(ANYWHERE, processor, tls=tls)) as tables:
        client = flight.connect(
            f"grpc+tls://{tables.address}",
            tls_root_certs=root.bytes(),
            cert_chain=chain.bytes(),
            private_key=key.bytes(),
        )
        assert len(list(client.list_flights())) == 6
        client.close()


@pytest.mark.parametrize("server", [ControlServer, FlightServer])
def test_neither_is_open_to_others_unless_told(processor: Processor, server: Any) -> None:
    with pytest.raises(sa.ConfigError, match="can be reached from outside"):
        server(Address("0.0.0.0", 0), processor)  # noqa: S104


@pytest.mark.parametrize("server", [ControlServer, FlightServer])
def test_an_address_that_is_taken_is_one_sentence(processor: Processor, server: Any) -> None:
    with (
        closing(FlightServer(ANYWHERE, processor)) as first,
        pytest.raises(sa.ConfigError, match=f"cannot listen on {first.address}"),
    ):
        server(first.address, processor)
