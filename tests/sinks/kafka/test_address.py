from __future__ import annotations

from pathlib import Path

import pytest

import stellarrow as sa
from stellarrow.sinks.kafka import KafkaSink
from stellarrow.sinks.kafka.address import Address


def test_a_url_names_brokers_topics_and_how_messages_are_made() -> None:
    url = "kafka://a.example:9093,b.example/?topic_prefix=stellar.&format=json&key=contract&partitions=6"
    made = Address.parse(url)
    assert made == Address("a.example:9093,b.example:9092", "stellar.", "json", "contract", 6)
    assert (made.topic("ledgers"), made.coverage) == ("stellar.ledgers", "stellar.coverage")
    assert Address.parse("kafka://[::1]:9092") == Address("[::1]:9092")


def test_a_user_logs_in_and_tls_follows_from_files(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch()
    assert Address.parse("kafka://ann:p%40ss@host").client == {
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ann",
        "sasl.password": "p@ss",
        "security.protocol": "sasl_plaintext",
    }
    assert Address.parse(f"kafka://ann:x@host/?ca={ca}").client == {
        "sasl.mechanism": "PLAIN",
        "sasl.username": "ann",
        "sasl.password": "x",
        "security.protocol": "sasl_ssl",
        "ssl.ca.location": str(ca),
    }
    assert Address.parse("kafka://host/?tls=yes").client == {"security.protocol": "ssl"}
    assert "p@ss" not in repr(Address.parse("kafka://ann:p%40ss@host"))


def test_user_and_password_may_be_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_USERNAME", "ann")
    with pytest.raises(sa.ConfigError, match="set KAFKA_PASSWORD or KAFKA_PASSWORD_FILE"):
        Address.parse("kafka://host")
    monkeypatch.setenv("KAFKA_PASSWORD", "secret")
    assert Address.parse("kafka://host").client["sasl.password"] == "secret"
    (tmp_path / "word").write_text("from a file\n")
    monkeypatch.setenv("KAFKA_PASSWORD_FILE", str(tmp_path / "word"))
    assert Address.parse("kafka://host").client["sasl.password"] == "from a file"


def test_a_settings_file_has_whatever_librdkafka_takes_but_what_the_guarantee_rests_on(
    tmp_path: Path,
) -> None:
    file = tmp_path / "client.properties"
    file.write_text("# ours\nsasl.mechanisms=OAUTHBEARER\n\nlinger.ms = 50\n")
    made = Address.parse(f"kafka://host/?settings={file}").client
    assert made == {"sasl.mechanisms": "OAUTHBEARER", "linger.ms": "50"}
    for line, told in (
        ("nonsense", "line 1, is no setting"),
        ("transactional.id=x", "sets transactional.id"),
    ):
        file.write_text(line)
        with pytest.raises(sa.ConfigError, match=told):
            Address.parse(f"kafka://host/?settings={file}")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("kafka:host", "names no broker: write kafka://HOST:9092"),
        ("kafka://", "names no broker"),
        ("kafka://host:notaport", "names no broker"),
        ("kafka://host:99999", "names no broker"),
        ("kafka://host/?topicprefix=x", "unknown option 'topicprefix': did you mean topic_prefix"),
        ("kafka://host/?format=avro", "format cannot be 'avro': .*arrow"),
        ("kafka://host/?key=contracts", "key cannot be 'contracts': did you mean contract"),
        ("kafka://host/?partitions=0", "partitions is a number"),
        ("kafka://host/?topic_prefix=a/b", "topic_prefix 'a/b' cannot begin a topic's name"),
        ("kafka://host/?sasl=PLAIN", "name one before the host, or in KAFKA_USERNAME"),
        ("kafka://a:b@host/?sasl=SCRAM-SHA-521", "did you mean SCRAM-SHA-512"),
        ("kafka://host/?ca=/no/such/file", "ca /no/such/file cannot be read .*name a file that can"),
    ],
)
def test_what_cannot_be_meant_is_a_sentence(url: str, told: str) -> None:
    with pytest.raises(sa.ConfigError, match=told):
        Address.parse(url)


def test_two_versions_of_a_table_and_none_at_all_are_refused() -> None:
    for tables, told in (
        (["contract_data", "contract_data@1.0"], "share one topic: give each a topic_prefix"),
        ([], "has no table"),
    ):
        with pytest.raises(sa.ConfigError, match=told):
            KafkaSink("kafka://host", tables, network="synthetic")


def test_a_table_that_is_not_decoded_is_named(ledgers: tuple[bytes, ...]) -> None:
    decoder = sa.Decoder(["ledgers"], network="synthetic")
    batch = decoder(sa.LedgerChunk(ledgers[0], "single", 100, 100, "memory"))
    sink = KafkaSink("kafka://127.0.0.1:9", ["contract_data"], network="synthetic")
    with pytest.raises(sa.ConfigError, match="contract_data, which is not decoded"):
        sink.write(batch)


@pytest.mark.parametrize(
    ("options", "held", "told"),
    [
        ("tls=yes&ca", b"no PEM", "ssl.ca.location failed"),
        ("settings", b"foo.bar=1", 'No such configuration property: "foo.bar"'),
        ("settings", b"\xff\xfe", "is not UTF-8 text"),
    ],
)
def test_a_file_of_which_no_client_can_be_made_is_a_sentence(
    tmp_path: Path, options: str, held: bytes, told: str
) -> None:
    (tmp_path / "file").write_bytes(held)
    with pytest.raises(sa.ConfigError, match=told):
        KafkaSink(
            f"kafka://127.0.0.1:9/?{options}={tmp_path}/file", ["ledgers"], network="synthetic"
        ).coverage()
