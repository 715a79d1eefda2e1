from __future__ import annotations

from pathlib import Path

import pytest

import stellarrow as sa
from stellarrow.sinks.nats import NatsSink
from stellarrow.sinks.nats.address import Address, Login


def test_a_url_names_servers_the_stream_and_how_messages_are_made() -> None:
    url = "nats://a.example:4223,b.example/?stream=live&subject_prefix=stellar.v1&format=json&key=contract"
    found = Address.parse(f"{url}&replicas=3&inbox_prefix=_INBOX_ann")
    assert found == Address(
        ("a.example:4223", "b.example:4222"), "live", "stellar.v1", "json", "contract", 3, "_INBOX_ann"
    )
    assert (found.subject("ledgers"), found.coverage) == ("stellar.v1.ledgers", "stellar.v1.coverage")
    assert Address.parse("nats://[::1]") == Address(("[::1]:4222",))
    assert Address.parse("nats://host/?stream=live").prefix == "live"


def test_a_user_a_token_or_a_file_logs_in_and_none_of_it_is_shown() -> None:
    assert Address.parse("nats://ann:p%40ss@host").login == Login("ann", "p@ss")
    assert Address.parse("nats://t%40ken@host").login == Login("", "", "t@ken")
    assert Address.parse("tls://host").login == Address.parse("nats://host/?tls=yes").login == Login(tls=True)
    for url in ("nats://ann:p%40ss@host", "nats://p%40ss@host"):
        assert "p@ss" not in f"{Address.parse(url)!r} {Address.parse(url)}"


def test_who_logs_in_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_TOKEN", "secret")
    assert Address.parse("nats://host").login == Login("", "", "secret")
    monkeypatch.setenv("NATS_USER", "ann")
    with pytest.raises(sa.ConfigError, match="set NATS_PASSWORD or NATS_PASSWORD_FILE"):
        Address.parse("nats://host")
    (tmp_path / "word").write_text("from a file\n")
    monkeypatch.setenv("NATS_PASSWORD_FILE", str(tmp_path / "word"))
    assert Address.parse("nats://host").login == Login("ann", "from a file")
    assert Address.parse("nats://bob@host").login == Login("bob", "from a file")
    monkeypatch.setenv("NATS_CREDS", str(tmp_path / "word"))
    with pytest.raises(sa.ConfigError, match="holds no JWT and key of a user"):
        Address.parse("nats://host")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nats:host", "names no server: write nats://HOST:4222"),
        ("nats://", "names no server"),
        ("nats://host:99999", "names no server"),
        ("nats://ann:x@one,bob:x@two", "has a login for each server: write one for all"),
        ("nats://host/?streams=x", "unknown option 'streams': did you mean stream"),
        ("nats://host/?stream=a.b", "a stream cannot be named 'a.b'"),
        ("nats://host/?subject_prefix=a.*", r"subject_prefix 'a\.\*' cannot begin a subject"),
        ("nats://host/?format=avro", "format cannot be 'avro': .*arrow"),
        ("nats://host/?key=contracts", "key cannot be 'contracts': did you mean contract"),
        ("nats://host/?replicas=9", "replicas is a number, such as replicas=3"),
        ("nats://host/?ca=/no/such/file", "ca /no/such/file cannot be read .*name a file that can"),
        ("nats://host/?certificate={here}", "certificate and private_key belong together"),
        ("nats://host/?credentials={here}", "holds no JWT"),
    ],
)
def test_an_address_that_cannot_be_meant_says_what_to_write(url: str, told: str) -> None:
    with pytest.raises(sa.ConfigError, match=told) as refused:
        Address.parse(url.format(here=__file__))
    assert ":x@" not in str(refused.value)


def test_contracts_own_tables_are_refused_with_where_to_write_them() -> None:
    table = "typed:CB23WRDQWGSP6YPMY4UV5C4OW5CBTXKYN3XEATG7KJEZCXMJBYEHOUOV/events/mint"
    with pytest.raises(sa.ConfigError, match=r"the NATS sink does not keep typed tables .*or kafka://"):
        NatsSink("nats://host", [table], network="synthetic")


def test_two_versions_of_a_table_need_prefixes_of_their_own() -> None:
    tables = ["contract_data", "contract_data@1.0"]
    with pytest.raises(sa.ConfigError, match="give each a subject_prefix of its own"):
        NatsSink("nats://host", tables, network="synthetic")
