from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import stellarrow as sa
from stellarrow.config import SERVICES, Analytics, Consumer, Extract, Processor, Source, find_file, read
from stellarrow.net.address import Address
from stellarrow.net.redaction import redacted_url

File = Callable[[str], Path]


@pytest.fixture
def toml(tmp_path: Path) -> File:
    def write(content: str) -> Path:
        path = tmp_path / "stellarrow.toml"
        path.write_text(content)
        return path

    return write


def test_without_anything_there_are_the_defaults_that_clients_know() -> None:
    settings = read(Processor, environ={})
    assert str(settings.grpc_address) == "127.0.0.1:50054"
    assert (settings.health_port.port, settings.source_endpoint) == (8089, "localhost:50053")
    assert (settings.worker_count, settings.flowctl_heartbeat_interval) == (4, 10.0)
    assert settings.origins == {}


def test_flags_win_over_the_environment_and_that_over_the_file(toml: File) -> None:
    file = toml('log_level = "error"\nnetwork = "testnet"\n[processor]\nbatch_size = 5\nworker_count = 2\n')
    settings = read(
        Processor, {"batch_size": "7"}, environ={"BATCH_SIZE": "6", "WORKER_COUNT": "3"}, file=file
    )
    assert (settings.batch_size, settings.worker_count) == (7, 3)
    assert (settings.log_level, settings.network) == ("error", "testnet")
    assert settings.origins == {
        "log_level": f"log_level in {file}",
        "network": f"network in {file}",
        "batch_size": "--batch-size",
        "worker_count": "WORKER_COUNT in the environment",
    }


def test_a_section_wins_over_the_top_of_the_file(toml: File) -> None:
    file = toml('log-level = "error"\n[source]\nlog_level = "debug"\n')
    assert read(Source, environ={}, file=file).log_level == "debug"
    assert read(Processor, environ={}, file=file).log_level == "error"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[procesor]\n", "section .procesor., which is no service: did you mean processor"),
        (
            "[source]\nflihgt_address = ':1'\n",
            "'flihgt_address', which is no setting: did you mean flight_address",
        ),
        ("netwrok = 'pubnet'\n", "'netwrok', which is no setting: did you mean network"),
        ("[source]\nbatch_size = 1\n", "'batch_size', which is no setting"),
        ("[source]\nlog_level = 'loud'\n", "log_level in .*toml .source. is 'loud': it must be debug, info"),
        (
            "[source]\nmax_memory_mb = 0\n",
            "max_memory_mb in .* is '0': it must be a whole number of at least 1",
        ),
        ("[source]\nsource = {a = 1}\n", "source in .* is a dict"),
        ("source = \n", "is no TOML"),
        ("\xff", "is no TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named(toml: File, content: str, told: str) -> None:
    with pytest.raises(sa.ConfigError, match=told):
        read(Source, environ={}, file=toml(content))


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("GRPC_ADDRESS", "host", "GRPC_ADDRESS in the environment is 'host': it must be host:port or :port"),
        ("GRPC_PORT", "70000", "GRPC_PORT in the environment is '70000'"),
        ("FLOWCTL_ENABLED", "maybe", "it must be true or false"),
        ("FLOWCTL_HEARTBEAT_INTERVAL", "10", "a duration such as"),
        ("BATCH_SIZE", "many", "a whole number of at least 1"),
        ("END_LEDGER", "4294967296", "a whole number from 0 to 4294967295"),
    ],
)
def test_a_bad_value_names_setting_value_and_what_is_allowed(variable: str, value: str, told: str) -> None:
    with pytest.raises(sa.ConfigError, match=told):
        read(Processor, environ={variable: value})


def test_a_bad_flag_is_named_as_it_was_typed() -> None:
    with pytest.raises(sa.ConfigError, match="--grpc-address is 'x'"):
        read(Processor, {"grpc_address": "x"}, environ={})


def test_two_names_of_one_setting_must_agree() -> None:
    assert read(Consumer, environ={"COMMIT_INTERVAL": "1m30s"}).db_flush_interval == 90
    same = {"GRPC_ADDRESS": ":7", "GRPC_PORT": "7"}
    assert read(Processor, environ=same).grpc_address == Address("127.0.0.1", 7)
    with pytest.raises(sa.ConfigError, match="GRPC_ADDRESS is ':7' but GRPC_PORT is '8'"):
        read(Processor, environ={"GRPC_ADDRESS": ":7", "GRPC_PORT": "8"})


def test_an_empty_variable_is_not_set() -> None:
    assert read(Processor, environ={"BATCH_SIZE": ""}).batch_size == 1000


def test_an_end_before_the_start_is_refused_and_zero_follows() -> None:
    with pytest.raises(sa.ConfigError, match="swap them"):
        read(Processor, environ={"START_LEDGER": "9", "END_LEDGER": "8"})
    assert read(Processor, environ={"START_LEDGER": "9", "END_LEDGER": "0"}).end_ledger == 0


def test_lists_are_read_from_text_and_from_toml(toml: File) -> None:
    answer = read(Extract, environ={"FILTER_CONTRACT_IDS": "CA, CB,"})
    assert answer.contract_ids == ("CA", "CB")
    file = toml('[extract]\nto = ["parquet:a", "postgres://me:secret@h/db"]\n')
    settings = read(Extract, environ={}, file=file)
    assert settings.to == ("parquet:a", "postgres://me:secret@h/db")
    assert {name: value for name, value, _ in settings.shown()}[
        "to"
    ] == "parquet:a,postgres://me:********@h/db"


def test_secrets_are_masked_wherever_they_are_shown() -> None:
    settings = read(
        Consumer, environ={"DB_PASSWORD": "hunter2", "DATABASE_URL": "postgres://me:hunter2@h/db"}
    )
    assert "hunter2" not in str(list(settings.shown()))
    assert settings.db_password == "hunter2"


def test_every_setting_of_every_service_reads_its_own_default() -> None:
    for service in SERVICES.values():
        settings = read(service, environ={})
        flags = {name: value for name, value, _ in settings.shown() if value and "*" not in value}
        assert read(service, flags, environ={}) == settings


def test_the_file_is_the_one_named_or_that_of_the_environment_or_the_one_here(
    toml: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_file(environ={}) is None
    here, other = toml(""), tmp_path / "other.toml"
    other.touch()
    assert find_file(environ={}) == Path("stellarrow.toml")
    assert find_file(environ={"STELLARROW_CONFIG": str(other)}) == other
    assert find_file(str(here), environ={"STELLARROW_CONFIG": str(other)}) == here
    with pytest.raises(sa.ConfigError, match="STELLARROW_CONFIG names nowhere"):
        find_file(environ={"STELLARROW_CONFIG": "nowhere"})
    with pytest.raises(sa.ConfigError, match="--config names nowhere"):
        find_file("nowhere", environ={})


def test_importing_the_settings_pulls_in_nothing_heavy() -> None:
    code = "import sys, stellarrow.config; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"pydantic", "click", "rich", "asyncio"}.isdisjoint(loaded.stdout.split())


@pytest.mark.parametrize(
    "url", ["postgres://me:hunter2@h/db", "postgres:///db?password=hunter2&host=/tmp", "a=1 password=hunter2"]
)
def test_a_password_is_masked_wherever_it_stands_in_a_url(url: str) -> None:
    assert redacted_url(url) == url.replace("hunter2", "********")


def test_event_types_and_assets_come_from_flags_the_environment_and_the_file(toml: File) -> None:
    file = toml('[processor]\nevent_types = ["payment", "mint"]\ninclude_assets = ["XLM", "USDC"]\n')
    settings = read(Processor, environ={"EVENT_TYPES": "fee,transfer"}, file=file)
    assert (settings.event_types, settings.include_assets) == (("fee", "transfer"), ("XLM", "USDC"))
    assert read(Processor, {"include_assets": "EURC"}, environ={}).include_assets == ("EURC",)


def test_a_file_that_begins_with_a_mark_of_its_encoding_is_read(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_bytes(b'\xef\xbb\xbfnetwork = "testnet"\n')
    assert read(Source, environ={}, file=tmp_path / "s.toml").network == "testnet"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"a = " + b"[" * 100_000, "is no TOML"),
        ("network = 'testnet'".encode("utf-16"), "is no TOML"),
        (b"extract = 3", r"extract a value, but it is a section: write \[extract\]"),
        (b"[[extract]]", r"extract a value, but it is a section: write \[extract\]"),
    ],
)
def test_a_file_that_cannot_be_settings_is_refused(tmp_path: Path, text: bytes, told: str) -> None:
    (tmp_path / "s.toml").write_bytes(text)
    with pytest.raises(sa.ConfigError, match=told):
        read(Source, environ={}, file=tmp_path / "s.toml")


@pytest.mark.parametrize(
    "wrong", ["", "s3://bucket/state", "postgres://u:secret@host/state", "a\0b"], ids=repr
)
@pytest.mark.parametrize("name", ["state_dir", "tls_key"])
def test_a_path_of_this_machine_is_no_url_and_no_password_of_one_is_shown(
    toml: File, name: str, wrong: str
) -> None:
    kind = "folder" if name == "state_dir" else "file"
    file = toml(f"{name} = {json.dumps(wrong)}\n")
    with pytest.raises(sa.ConfigError, match=f"{name} in .* must be a {kind} of this machine") as refused:
        read(Source, environ={}, file=file)
    assert "secret@" not in str(refused.value)


def test_a_path_of_this_machine_may_begin_with_a_home(monkeypatch: pytest.MonkeyPatch, toml: File) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    file = toml('state_dir = "~/state"\ntls_key = "~/key.pem"\n')
    settings = read(Source, {"bootstrap_admin_key_file": "~/admin"}, environ={}, file=file)
    paths = (settings.state_dir, settings.tls_key, settings.bootstrap_admin_key_file)
    assert paths == tuple(Path("/home/somebody", name) for name in ("state", "key.pem", "admin"))


@pytest.mark.parametrize("wrong", ["99999999999h", f"{'9' * 400}s"], ids=["long", "endless"])
def test_a_duration_that_no_thread_can_wait_for_is_refused(wrong: str) -> None:
    with pytest.raises(sa.ConfigError, match="must be a duration"):
        read(Source, {"flowctl_heartbeat_interval": wrong}, environ={})


def test_more_threads_than_any_machine_has_are_refused() -> None:
    for service, name in ((Source, "fetchers"), (Extract, "fetchers"), (Analytics, "worker_count")):
        with pytest.raises(sa.ConfigError, match="from 1 to 1024"):
            read(service, {name: "1025"}, environ={})


def test_a_file_without_an_end_is_not_read() -> None:
    with pytest.raises(sa.ConfigError, match="File too large"):
        read(Source, environ={"RPC_TOKEN_FILE": "/dev/zero"})
    with pytest.raises(sa.ConfigError, match="File too large"):
        read(Source, environ={}, file=Path("/dev/zero"))
