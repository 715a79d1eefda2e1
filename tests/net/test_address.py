from __future__ import annotations

import pytest

from stellarrow.errors import ConfigError
from stellarrow.net.address import Address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":8816", "127.0.0.1", 8816),
        ("8816", "127.0.0.1", 8816),
        ("10.0.0.7:1", "10.0.0.7", 1),
        ("localhost:50053", "localhost", 50053),
        ("[::1]:5", "::1", 5),
    ],
)
def test_addresses_are_read(text: str, host: str, port: int) -> None:
    assert Address.parse(text) == Address(host, port)
    assert Address.parse(str(Address(host, port))) == Address(host, port)


@pytest.mark.parametrize("text", ["", "host", "host:", ":x", ":65536", "http://host:1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no address: write host:port or :port"):
        Address.parse(text)


@pytest.mark.parametrize(("text", "loopback"), [(":1", True), ("[::1]:1", True), ("10.0.0.7:1", False)])
def test_it_knows_whether_others_can_reach_it(text: str, loopback: bool) -> None:
    assert Address.parse(text).is_loopback == loopback
