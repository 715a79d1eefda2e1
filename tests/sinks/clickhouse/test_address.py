from __future__ import annotations

from pathlib import Path

import pytest

import stellarrow as sa
from stellarrow.sinks.clickhouse import ClickHouseSink
from stellarrow.sinks.clickhouse.address import Address


def test_a_url_names_server_database_and_user() -> None:
    made = Address.parse("clickhouse://ann:p%40ss@db.example:9000/chain?partition_ledgers=64000")
    assert (made.host, made.port, made.database, made.partition_ledgers) == (
        "db.example",
        9000,
        "chain",
        64_000,
    )
    assert made.client == {"username": "ann", "password": "p@ss", "interface": "http"}
    assert "p@ss" not in repr(made)
    plain = Address.parse("clickhouse://[::1]")
    assert (plain.host, plain.port, plain.database) == ("::1", 8123, "stellar")


def test_tls_follows_from_files_and_has_a_port_of_its_own(tmp_path: Path) -> None:
    for name in ("ca.pem", "ours.pem", "ours.key"):
        (tmp_path / name).touch()
    assert (
        Address.parse("clickhouse://h/d?tls=yes").port,
        Address.parse("clickhouse://h:1/d?tls=yes").port,
    ) == (
        8443,
        1,
    )
    files = f"ca={tmp_path}/ca.pem&certificate={tmp_path}/ours.pem&private_key={tmp_path}/ours.key"
    assert Address.parse(f"clickhouse://h/d?{files}").client == {
        "username": "default",
        "password": "",
        "interface": "https",
        "ca_cert": f"{tmp_path}/ca.pem",
        "client_cert": f"{tmp_path}/ours.pem",
        "client_cert_key": f"{tmp_path}/ours.key",
    }
    with pytest.raises(sa.ConfigError, match="belong together"):
        Address.parse(f"clickhouse://h/d?certificate={tmp_path}/ours.pem")


def test_user_and_password_may_be_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKHOUSE_USER", "ann")
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "secret")
    assert Address.parse("clickhouse://h").client == {
        "username": "ann",
        "password": "secret",
        "interface": "http",
    }
    (tmp_path / "word").write_text("from a file\n")
    monkeypatch.setenv("CLICKHOUSE_PASSWORD_FILE", str(tmp_path / "word"))
    assert Address.parse("clickhouse://h").client["password"] == "from a file"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("clickhouse:host", "names no server: write clickhouse://HOST:8123/DATABASE"),
        ("clickhouse://host:99999/d", "names no server"),
        ("clickhouse:///d", "names no server"),
        ("clickhouse://host/a-b", "cannot be named so"),
        ("clickhouse://host/d?tsl=yes", "did you mean tls"),
        ("clickhouse://host/d?tls=ja", "choose among yes, no"),
        ("clickhouse://host/d?partition_ledgers=many", "is a number of ledgers"),
        ("clickhouse://host/d?ca=/nowhere/ca.pem", "cannot be read"),
    ],
)
def test_a_url_that_makes_no_sense_is_refused_with_what_to_write(url: str, told: str) -> None:
    with pytest.raises(sa.ConfigError, match=told):
        Address.parse(url)


def test_tables_that_cannot_be_kept_are_refused_before_anything_is_connected() -> None:
    for tables, told in (
        ((), "name at least one"),
        (("contract_data", "contract_data@1.0"), "share one table"),
        (("typed:all",), "the columns of 'typed:all' are not known here"),
    ):
        with pytest.raises(sa.ConfigError, match=told):
            ClickHouseSink("clickhouse://127.0.0.1:1", tables, network="synthetic")


def test_a_password_that_is_no_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_bytes(b"\xff\xfe")
    monkeypatch.setenv("CLICKHOUSE_PASSWORD_FILE", str(tmp_path / "password"))
    with pytest.raises(sa.ConfigError, match="is not UTF-8 text"):
        Address.parse("clickhouse://somebody@host/d")
