"""Messages of gRPC, Flight and OpenSSL become words that say what to do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import trustme
from pyarrow import flight

from fakes.process import free_port
from stellarrow.net.client_tls import NO_TLS, ClientTls
from stellarrow.net.connection_reasons import connection_reason
from stellarrow.net.flight_client import connect, reason_of

STRANGER = "nobody trusted here signed its certificate: name who did as its CA"


@contextmanager
def serving(name: str = "") -> Iterator[tuple[int, trustme.CA]]:
    """A Flight server, over TLS with a certificate for that name."""
    authority = trustme.CA()
    held: dict[str, Any] = {}
    if name:
        made = authority.issue_cert(name)
        chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
        held["tls_certificates"] = [(chain, made.private_key_pem.bytes())]
    with flight.FlightServerBase(f"grpc{'+tls' if name else ''}://127.0.0.1:0", **held) as server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server.port, authority
        finally:
            server.shutdown()
            thread.join()


def why(port: int, *, secure: bool, tls: ClientTls = NO_TLS) -> str:
    with connect(f"127.0.0.1:{port}", secure=secure, tls=tls) as client:
        with pytest.raises((flight.FlightError, pa.ArrowException)) as caught:
            client.get_flight_info(
                flight.FlightDescriptor.for_path("x"), flight.FlightCallOptions(timeout=60)
            )
        return reason_of(caught.value)


def test_why_flight_connects_to_nothing_is_told_in_plain_words(tmp_path: Path) -> None:
    assert why(free_port(), secure=False) == "the connection is refused: nothing listens there"
    with serving("127.0.0.1") as (port, _):
        assert why(port, secure=True) == STRANGER
        assert why(port, secure=False) == "it closes connections: if it speaks TLS, ask for it so"
    with serving("elsewhere.example") as (port, authority):
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        told = why(port, secure=True, tls=ClientTls(ca=tmp_path / "ca.pem"))
        assert told == "its certificate is for another name: ask for it by that name"
    with serving() as (port, _):
        assert why(port, secure=True) == "it speaks no TLS: ask for it without"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "urlopen [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate",
            STRANGER,
        ),
        ("urlopen [Errno 111] Connection refused", "the connection is refused: nothing listens there"),
        ("urlopen [Errno -2] Name or service not known", "there is no host of that name"),
        ("Flight returned unauthenticated error, with message: who are you?", "who are you?"),
        ("ledger 5 says Connection refused in its memo", "ledger 5 says Connection refused in its memo"),
    ],
)
def test_what_is_not_about_a_connection_stays_as_it_was(said: str, told: str) -> None:
    assert connection_reason(said) == told
