"""Settings files of the older components: read as they are, converted, and hostile ones bounded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stellarrow as sa
from stellarrow.config import SERVICES, Processor, SinkServer, Source, find_file, read
from stellarrow.config.toml_file import converted, service_of

File = Callable[[str], Path]
Run = Callable[..., Any]
OLDER = Path(__file__).parent / "data" / "older"


@pytest.fixture
def yaml(tmp_path: Path) -> File:
    def write(content: str) -> Path:
        path = tmp_path / "older.yaml"
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
        return path

    return write


def test_the_source_of_the_older_family_is_read_as_it_is() -> None:
    settings = read(Source, environ={}, file=OLDER / "source.yaml")
    assert settings.rpc == ("https://soroban-testnet.stellar.org",)
    assert settings.network == "testnet"
    assert (settings.start_ledger, settings.end_ledger) == (1000, 0)
    assert (settings.flight_address.port, settings.health_port.port, settings.fetchers) == (8815, 8088, 4)
    assert settings.origin("fetchers") == f"concurrent_readers in {OLDER / 'source.yaml'}"


def test_its_processor_is_read_as_it_is() -> None:
    settings = read(Processor, environ={}, file=OLDER / "processor.yaml")
    assert settings.source_endpoint == "flight://localhost:8815"
    assert settings.output_endpoint == "flight://localhost:8817"
    assert (settings.batch_size, settings.worker_count) == (100, 8)
    assert settings.event_types[:2] == ("payment", "path_payment_strict_receive")
    assert settings.include_assets == ("XLM", "USDC")
    assert (settings.tables, settings.follow_source) == (("token_transfers",), True)
    assert (settings.auth, settings.cors_origins, settings.rate_limit) == (("api_key",), ("*",), "100/s")


def test_its_sink_is_read_as_it_is() -> None:
    settings = read(SinkServer, environ={}, file=OLDER / "sink.yaml")
    assert str(settings.source_endpoint) == "localhost:8816"
    assert (settings.flight_address.port, settings.health_port.port) == (8817, 8088)
    assert settings.places == (
        "parquet:./data/parquet?partition=date&codec=snappy",
        "jsonl:./data/json?partition=date",
        "csv:./data/csv?partition=date",
    )


LAKE = "source_type: datalake\n"


@pytest.mark.parametrize(
    ("content", "source", "rpc"),
    [
        ("source_type: datalake\ns3_bucket: lake\naws_region: us-east-1\n", "s3://lake", ()),
        (f"{LAKE}storage_backend: gcs\nbucket_name: lake\nstorage_path: v1/pub\n", "gs://lake/v1/pub", ()),
        (f"{LAKE}storage_backend: filesystem\nstorage_path: ./data/ledgers\n", "./data/ledgers", ()),
        ("rpc_endpoint: http://127.0.0.1:8000\n", None, ("http://127.0.0.1:8000",)),
        ("source: ./lake\nrpc: [http://a, http://b]\n", "./lake", ("http://a", "http://b")),
    ],
)  # fmt: skip
def test_where_ledgers_come_from_is_told_in_the_words_of_each_kind(
    yaml: File, content: str, source: str | None, rpc: tuple[str, ...]
) -> None:
    settings = read(Source, environ={}, file=yaml(content))
    assert (settings.source, settings.rpc) == (source, rpc)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("flihgt_port: 8816\n", "'flihgt_port', which is no setting of the processor: did you mean flight_"),
        ("security:\n  tls_enbled: true\n", "'security.tls_enbled'.* did you mean security.tls_enabled"),
        ("resilience:\n  retry_enable: true\n", "did you mean resilience.retry_enabled"),
        ("security: on\n", "security is no mapping"),
        ("security: {tls_enabled: true}\n", "cert_file and key_file name nothing"),
        ("security: {auth_enabled: true, auth_type: basic}\n", "must be api_key, jwt or mutual_tls"),
        ("security: {api_key_header: X-Mine}\n", "must be Authorization or X-API-Key"),
        ("amount_filters: {min_amount: '5'}\n", "amount_filters are not offered"),
        ("flight_port: 8816\nflight_address: ':8816'\n", "mean one setting: keep one"),
        ("batch_size: many\n", "batch_size in .*older.yaml is 'many': it must be a whole number"),
        ("event_types: {a: b}\n", "event_types is no plain value"),
        ("rpc_endpoint: http://a\n", "'rpc_endpoint', which is no setting of the processor"),
    ],
)
def test_a_mistake_is_named_with_what_was_likely_meant(yaml: File, content: str, told: str) -> None:
    with pytest.raises(sa.ConfigError, match=told):
        read(Processor, environ={}, file=yaml(content))


def test_security_that_is_switched_off_names_nothing(yaml: File) -> None:
    settings = read(
        Processor,
        environ={},
        file=yaml(
            "security:\n  tls_enabled: false\n  cert_file: a.pem\n  key_file: b.pem\n  auth_enabled: false\n"
            "  auth_type: jwt\n  cors_enabled: false\n  cors_origins: ['*']\n  rate_limit_enabled: false\n"
            "  rate_limit_rps: 5\n"
        ),
    )
    assert (settings.tls_certificate, settings.auth, settings.cors_origins) == (None, (), ())
    assert settings.rate_limit is None


def test_mutual_tls_and_certificates_are_those_of_now(yaml: File) -> None:
    settings = read(
        Processor,
        environ={},
        file=yaml(
            "security:\n  tls_enabled: true\n  cert_file: a.pem\n  key_file: b.pem\n  ca_file: c.pem\n"
            "  auth_enabled: true\n  auth_type: mutual_tls\n  authz_enabled: false\n"
        ),
    )
    files = (settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    assert files == (Path("a.pem"), Path("b.pem"), Path("c.pem"))
    assert (settings.auth, settings.authz) == (("mtls",), False)


def nine_times(beginning: str, each: str) -> str:
    """Write values that each name the one before nine times: a thousand million in the end."""
    names = zip("abcdefghi", "bcdefghij", strict=True)
    return beginning + "".join(
        f"{name}: &{name} {each.format(', '.join([f'*{before}'] * 9))}\n" for before, name in names
    )


LAUGHS = nine_times("a: &a [x, x, x, x, x, x, x, x, x]\n", "[{}]")
MERGES = nine_times("a: &a {x: 1}\n", "{{<<: [{}]}}")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (LAUGHS, "line 5: it holds more than 10000 values"),
        (MERGES, "it holds more than 10000 values"),
        ("a: &a [*a]\n", "names nothing before it"),
        ("[" * 5_000, "nested deeper than 16"),
        ("a:\n" + "".join(" " * depth + "b:\n" for depth in range(1, 40)), "nested deeper than 16"),
        ("batch_size: 1\nbatch_size: 2\n", "line 2: 'batch_size' stands there twice"),
        ("a: !!python/object/apply:os.system [id]\n", "the tag .* is not taken"),
        ("a: 1\n---\na: 2\n", "a second document begins"),
        ("? [a]\n: 1\n", "a key must be a text"),
        ("- a\n", "holds no settings"),
        ("just a text\n", "holds no settings"),
        ("a: b: c\n", "is no YAML"),
        ("a: 'x\n", "is no YAML"),
        ("a: *b\n", "names nothing before it"),
        ("<<: 5\n", "<< takes mappings"),
        ("\x00", "is no YAML"),
        ("a: \udcff\n", "is not UTF-8"),
        ("#" * (300 << 10), "is larger than 256 KiB"),
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused_at_once(yaml: File, content: str, told: str) -> None:
    with pytest.raises(sa.ConfigError, match=told):
        read(Processor, environ={}, file=yaml(content))


def test_anchors_merges_and_null_are_read(yaml: File) -> None:
    content = (
        "security: &all\n  cors_origins: &web ['https://a']\nevent_types: [mint]\n"
        "include_assets: ~\nstate_dir: null\nworker_count: ''\nresilience:\n  <<: {retry_enabled: yes}\n"
    )
    with pytest.raises(sa.ConfigError, match="worker_count"):
        read(Processor, environ={}, file=yaml(content))
    settings = read(Processor, environ={}, file=yaml(content.replace("worker_count: ''\n", "")))
    assert (settings.cors_origins, settings.event_types) == (("https://a",), ("mint",))
    assert (settings.include_assets, str(settings.state_dir)) == ((), "stellarrow-state")


def test_an_empty_file_says_nothing(yaml: File) -> None:
    assert read(Source, environ={}, file=yaml("")) == Source()
    assert read(Source, environ={}, file=yaml("# nothing\n---\n")) == Source()


def test_the_file_is_that_of_config_file_for_services_that_the_family_had(yaml: File) -> None:
    path = yaml("batch_size: 7\n")
    environ = {"CONFIG_FILE": str(path)}
    assert find_file(environ=environ, service=Processor) == path
    assert find_file(environ=environ) is None
    assert find_file(environ=environ, service=SERVICES["client"]) is None
    with pytest.raises(sa.ConfigError, match="CONFIG_FILE names gone"):
        find_file(environ={"CONFIG_FILE": "gone.yaml"}, service=Source)


def test_the_environment_and_flags_win_over_an_older_file(yaml: File) -> None:
    file = yaml("batch_size: 7\nprocessing_workers: 3\nhealth_port: 8088\n")
    settings = read(Processor, {"health_port": ":1"}, environ={"BATCH_SIZE": "9"}, file=file)
    assert (settings.batch_size, settings.worker_count, settings.health_port.port) == (9, 3, 1)


@pytest.mark.parametrize(
    ("name", "service"),
    [("source", "source"), ("processor", "processor"), ("sink", "sink"), ("sink", "analytics")],
)
def test_what_is_converted_says_the_same(stellarrow: Run, tmp_path: Path, name: str, service: str) -> None:
    older, now = OLDER / f"{name}.yaml", tmp_path / "now.toml"
    assert service_of(older) == name
    assert stellarrow("config", "convert", older, "--service", service, "--output", now).code == 0
    kind = SERVICES[service]
    assert read(kind, environ={}, file=now) == read(kind, environ={}, file=older)
    printed = stellarrow("config", "convert", older, "--service", service)
    assert printed.out == now.read_text()
    assert "# Without effect here:" in printed.out
    again = stellarrow("config", "convert", older, "--output", now)
    assert (again.code, "is there already" in again.err) == (2, True)


def test_what_would_steer_a_terminal_is_printed_as_toml_writes_it(
    stellarrow: Run, yaml: File, tmp_path: Path
) -> None:
    done = stellarrow("config", "convert", yaml(f'{LAKE}storage_path: "./a\\x9b\\u202e\\x7f\\eé"\n'))
    (tmp_path / "now.toml").write_text(done.out, "utf-8")
    assert done.out.endswith('source = "./a\\u009b\\u202e\\u007f\\u001bé"\n')
    assert read(Source, environ={}, file=tmp_path / "now.toml").source == "./a\x9b\u202e\x7f\x1bé"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("log_level: info\n", "--service"),
        ("event_typs: [payment]\nprocessing_workers: 5\n", "did you mean event_types"),
    ],
)
def test_what_cannot_be_converted_is_a_sentence(stellarrow: Run, yaml: File, content: str, told: str) -> None:
    done = stellarrow("config", "convert", yaml(content))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert told in done.err


TEXTS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1).map(str.strip)


@given(texts=st.lists(TEXTS, min_size=1))
def test_texts_of_any_kind_survive_being_converted(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    import yaml as library  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("converted")
    older, now = folder / "a.yaml", folder / "a.toml"
    older.write_text(library.safe_dump({"include_assets": texts}, allow_unicode=True))
    now.write_text(converted(older, "processor"))
    assert read(Processor, environ={}, file=now) == read(Processor, environ={}, file=older)
    assert read(Processor, environ={}, file=now).include_assets == tuple(texts)


def test_a_file_of_many_values_is_refused(yaml: File) -> None:
    path = yaml("event_types: [" + "x, " * 30_000 + "x]\n")
    with pytest.raises(sa.ConfigError, match="it holds more than 10000 values"):
        read(Processor, environ={}, file=path)
