"""Our own clients: CA, certificate, key and token, from flags, the environment and TOML."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from fakes.process import free_port
from security.certificates import Authority
from security.deployment import Deployment, Shown, deployed
from stellarrow import registry
from stellarrow.config import Client, Consumer, Processor, read
from stellarrow.consumer.flight_client import EARLIEST, FlightTable
from stellarrow.net.client_tls import ClientTls
from stellarrow.net.credentials import SourceAccess
from stellarrow.services.processor import ProcessorService

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def mutual(
    lake: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    flags = {"auth": "mtls", "mtls_roles": "etl.example=processor", **authority.flags}
    with deployed(lake, tmp_path_factory.mktemp("mutual") / "state", flags) as made:
        yield made


@pytest.fixture(scope="module")
def files(authority: Authority) -> dict[str, str]:
    """What a client's settings name: its CA, certificate and key."""
    shown = authority.client("etl.example")
    assert shown.certificate
    assert shown.key
    (authority.folder / "client.pem").write_bytes(shown.certificate)
    (authority.folder / "client.key").write_bytes(shown.key)
    return {
        "ca": str(authority.folder / "ca.pem"),
        "certificate": str(authority.folder / "client.pem"),
        "key": str(authority.folder / "client.key"),
    }


def test_source_processor_and_consumer_speak_mutual_tls_with_each_other(
    mutual: Deployment, authority: Authority, files: dict[str, str], tmp_path: Path
) -> None:
    given = {f"source_{name}": path for name, path in files.items()}
    flags = {
        **given,
        "source_endpoint": str(mutual.server("source", "grpc").address),
        "network": "synthetic",
        "state_dir": str(tmp_path / "state"),
        "start_ledger": "100",
        "end_ledger": "139",
        "auth": "mtls",
        "mtls_roles": "etl.example=processor",
        **authority.flags,
        **dict.fromkeys(("grpc_address", "flight_address", "health_port"), ":0"),
    }
    with closing(ProcessorService(read(Processor, flags, environ={}))) as processor:
        assert processor.source.startswith("grpcs://")
        processor.start()
        settings = read(Consumer, {**given, "network": "synthetic"}, environ={})
        assert settings.is_secure
        table = FlightTable(
            processor.flight.address,
            "ledgers",
            credentials=settings.access.source,
            secure=settings.is_secure,
        )
        with closing(table):
            arrivals = table.read(EARLIEST, sa.LedgerRange(100, 139))
            assert sum(arrival.rows.num_rows for arrival in arrivals) == 40


def test_a_grpc_source_shows_what_the_environment_names(
    mutual: Deployment, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"grpcs://{mutual.server('source', 'grpc').address}"
    for name, path in files.items():
        monkeypatch.setenv(f"SOURCE_{name.upper()}", path)
    with closing(registry.open_source(url)) as source:
        assert [chunk.first for chunk in source.read(sa.LedgerRange(100, 102))] == [100, 101, 102]


def test_watch_takes_a_certificate_or_a_key_from_flags_environment_or_toml(
    *,
    mutual: Deployment,
    with_keys: Deployment,
    files: dict[str, str],
    stellarrow: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    at = mutual.server("processor", "http").address
    flags = [f"--{name}={path}" for name, path in files.items()]
    assert stellarrow("watch", "--once", "--at", at, *flags).code == 0
    refused = stellarrow("watch", "--once", "--at", at, f"--ca={files['ca']}")
    assert (refused.code, "no processor answers on https://" in refused.err) == (1, True)
    lines = [f'{name} = "{path}"' for name, path in files.items()]
    (tmp_path / "stellarrow.toml").write_text("\n".join(["[client]", *lines]))
    assert stellarrow("watch", "--once", "--at", at).code == 0
    (tmp_path / "stellarrow.toml").unlink()
    plain = with_keys.server("processor", "http").address
    _, text = with_keys.store.create("watcher", ["reader"], created_by="test")
    refused = stellarrow("watch", "--once", "--at", plain)
    assert (refused.code, "give --token or CLIENT_TOKEN" in refused.err) == (1, True)
    monkeypatch.setenv("CLIENT_TOKEN", text)
    assert stellarrow("watch", "--once", "--at", plain).code == 0
    monkeypatch.delenv("CLIENT_TOKEN")
    secret = tmp_path / "token"
    secret.write_text(text)
    monkeypatch.setenv("CLIENT_TOKEN_FILE", str(secret))
    assert stellarrow("watch", "--once", "--at", plain).code == 0


def test_a_token_lets_a_grpc_source_and_a_flight_table_in(with_keys: Deployment) -> None:
    _, text = with_keys.store.create("client", ["reader"], created_by="test")
    access = SourceAccess.of_environment({"SOURCE_TOKEN": text})
    url = f"grpc://{with_keys.server('source', 'grpc').address}"
    with closing(registry.open_source(url, access=access)) as source:
        assert [chunk.first for chunk in source.read(sa.LedgerRange(100, 101))] == [100, 101]
    address = with_keys.server("processor", "flight").address
    with closing(FlightTable(address, "ledgers", credentials=access.source)) as table:
        assert sum(one.rows.num_rows for one in table.read(EARLIEST, sa.LedgerRange(100, 101))) == 2
    with (
        closing(FlightTable(address, "ledgers")) as table,
        pytest.raises(sa.SourceError, match="credentials"),
    ):
        list(table.read(EARLIEST))


def test_half_a_client_identity_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(sa.ConfigError, match="a client certificate needs its key"):
        ClientTls(certificate=tmp_path / "x")
    with pytest.raises(sa.ConfigError, match="cannot be read"):
        ClientTls(ca=tmp_path / "nothing").pem()
    assert read(Client, {"ca": "x"}, environ={}).scheme == "https"


# doctor


def doctor(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, settings: str) -> Any:
    monkeypatch.chdir(folder)
    (folder / "stellarrow.toml").write_text(settings)
    return run("doctor", "--config", folder / "stellarrow.toml")


def test_doctor_is_content_where_nothing_is_open(
    stellarrow: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = doctor(stellarrow, tmp_path, monkeypatch, "")
    assert "security: no listener is open to strangers" in done.out


def test_doctor_names_every_open_listener_key_and_file(
    stellarrow: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "tls")
    (tmp_path / "tls" / "key.pem").chmod(0o644)
    settings = f"""
[security]
auth = ["api_key"]
anonymous_role = "admin"
authz = false
tls_certificate = "{tmp_path}/tls/certificate.pem"
tls_key = "{tmp_path}/tls/key.pem"
[source]
grpc_address = "0.0.0.0:50053"
[consumer]
db_password = "hunter2"
"""
    monkeypatch.chdir(tmp_path)
    stellarrow("keys", "create", "old", "--role", "reader", "--expires", "never")
    stellarrow("keys", "create", "short", "--role", "reader", "--expires", "2d")
    done = doctor(stellarrow, tmp_path, monkeypatch, settings)
    assert done.code == 1
    for told in (
        "whoever shows nothing is admin of source",
        "whoever is known may do all at source",
        f"others may use {tmp_path}/tls/key.pem (644): chmod 600",
        "the API key old never expires",
        "the API key short expires in",
        "there is no administrator's key",
        f"others may use {tmp_path}/stellarrow.toml",
    ):
        assert told in done.out, told
    assert "hunter2" not in done.out
    bare = doctor(stellarrow, tmp_path, monkeypatch, '[source]\ngrpc_address = "0.0.0.0:1"\n')
    assert "can be reached from outside, without TLS" in bare.out
    assert "anybody may come in: set auth" in bare.out
    expired = authority.client("x", expired=True).certificate
    assert expired
    (tmp_path / "tls" / "certificate.pem").write_bytes(expired)
    assert "expired on" in doctor(stellarrow, tmp_path, monkeypatch, settings).out


def test_doctor_reaches_a_source_by_what_the_settings_name(
    with_keys: Deployment, stellarrow: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"grpc://{with_keys.server('source', 'grpc').address}"
    done = stellarrow("doctor", url)
    assert (done.code, "answers" in done.out) == (0, True)
    assert stellarrow("doctor", f"grpc://127.0.0.1:{free_port()}").code == 1
    assert Shown().certificate is None
