from __future__ import annotations

import pytest

from stellarrow import ConfigError, Network

PUBNET = "Public Global Stellar Network ; September 2015"
TESTNET = "Test SDF Network ; September 2015"
STANDALONE = "Standalone Network ; February 2017"


def test_a_network_is_known_by_name_or_passphrase() -> None:
    assert Network.of("pubnet") == Network.of(PUBNET) == Network("pubnet", PUBNET)
    assert Network.of("(V) (;,,;) (V)").passphrase == "(V) (;,,;) (V)"


@pytest.mark.parametrize(
    ("written", "passphrase"),
    [
        *((name, PUBNET) for name in ("mainnet", "public", "PUBNET", "Main", "live", "stellar-public")),
        *((name, PUBNET) for name in ("public_network", ' "pubnet" ', f"'{PUBNET}'")),
        *((name, TESTNET) for name in ("test", "TestNet", "testnet\n")),
        ("future", "Test SDF Future Network ; October 2022"),
        *((name, STANDALONE) for name in ("local", "LOCAL", "standalone", "quickstart", "localnet")),
    ],
)
def test_a_network_is_understood_as_people_write_it(written: str, passphrase: str) -> None:
    assert Network.of(written).passphrase == passphrase


@pytest.mark.parametrize(
    ("written", "near"),
    [
        *(("pubnett", "pubnet"), ("mainet", "pubnet"), ("tesnet", "testnet"), ("standalon", "standalone")),
        ("Public Global Stellar Network; September 2015", "pubnet"),
        ("test sdf network ; september 2015", "testnet"),
        ("Stellar Public Network", "pubnet"),
        ("Test SDF Network ; September 2016", "testnet"),
    ],
)
def test_what_is_nearly_a_network_is_refused_with_that_one_named(written: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean {near}[?]"):
        Network.of(written)


@pytest.mark.parametrize("written", ["", " ", "''", "xyzzy", "horizon.stellar.org"])
def test_what_is_no_network_at_all_is_refused(written: str) -> None:
    with pytest.raises(ConfigError, match=r"empty|choose among pubnet, testnet"):
        Network.of(written)


@pytest.mark.parametrize("passphrase", ["pubnett", "one-word", "Test SDF Network ; September 2016"])
def test_any_passphrase_can_be_given_as_such_and_written_back(passphrase: str) -> None:
    network = Network.of(f"passphrase:{passphrase}")
    assert network.passphrase == passphrase
    assert Network.of(network.written) == network
    assert Network.from_passphrase(passphrase) == network
