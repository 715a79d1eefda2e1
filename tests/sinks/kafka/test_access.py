"""How brokers are reached, and what is said where they refuse."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from secrets import token_hex
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

import stellarrow as sa
from fakes.kafka import PASSWORD, Broker
from fakes.process import free_port
from sinks.kafka.test_faults import TABLES, Topics
from stellarrow.net.resilience import Policy
from stellarrow.sinks.kafka import KafkaSink, cluster, transaction
from stellarrow.sinks.transactional import message_sink

ONCE = Policy(attempts=1)


@pytest.fixture
def topics(kafka: Broker, consumer: Any, ledgers: tuple[bytes, ...]) -> Topics:
    return Topics(kafka, consumer, ledgers, f"{token_hex(4)}.")


def bring(topics: Topics, url: str, **choices: Any) -> sa.LedgerSet:
    with closing(KafkaSink(url, TABLES, network="synthetic", policy=ONCE, **choices)) as opened:
        opened.write(topics.batch(100, 104))
        opened.commit()
        return opened.coverage()


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (cluster, transaction):
        monkeypatch.setattr(module, "TIMEOUT", 4.0)
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 4.0)


def make(topics: Topics, name: str, settings: dict[str, str], partitions: int = 1) -> None:
    client = AdminClient({"bootstrap.servers": topics.broker.address})
    topic = NewTopic(f"{topics.prefix}{name}", partitions, 1, config=settings)
    for done in client.create_topics([topic]).values():
        done.result(60)


@pytest.mark.parametrize("way", ["scram", "secure"])
def test_a_user_with_a_password_writes_over_sasl_and_tls(topics: Topics, way: str) -> None:
    host = f"ann:{PASSWORD}@127.0.0.1:{topics.broker.scram if way == 'scram' else topics.broker.secure}"
    tls = "" if way == "scram" else f"&ca={topics.broker.ca}"
    assert str(bring(topics, f"kafka://{host}/?topic_prefix={topics.prefix}{tls}")) == "100:104"
    topics.assert_right()


@pytest.mark.parametrize(
    ("login", "port", "options", "told"),
    [
        (
            "ann:wrong@",
            "scram",
            "",
            r"cannot connect to Kafka at .*uthentication failed.*: set the right user",
        ),
        ("ann:wrong@", "secure", "ca", r"uthentication failed.*: set the right user, password and sasl"),
        ("ann:{password}@", "secure", "tls", r"certificate verify failed.*: give the right CA in ca=FILE"),
        ("bob:{password}@", "secure", "ca", r"uthorization failed.*: let this user "),
    ],
)
def test_who_is_not_let_in_is_told_what_to_set(
    topics: Topics, monkeypatch: pytest.MonkeyPatch, *, login: str, port: str, options: str, told: str
) -> None:
    ports = {"scram": topics.broker.scram, "secure": topics.broker.secure}
    url = f"kafka://{login.format(password=PASSWORD)}127.0.0.1:{ports[port]}/?topic_prefix={topics.prefix}"
    url += {"ca": f"&ca={topics.broker.ca}", "tls": "&tls=yes", "": ""}[options]
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 100.0)
    with pytest.raises(sa.SinkError, match=told) as refused:
        bring(topics, url)
    assert PASSWORD not in str(refused.value)
    assert "wrong" not in str(refused.value)


@pytest.mark.usefixtures("_soon")
def test_a_listener_that_wants_a_password_is_a_sink_error_without_one(topics: Topics) -> None:
    with pytest.raises(sa.SinkError, match=r"cannot connect to Kafka at 127.0.0.1:\d+ \("):
        bring(topics, topics.url(f"127.0.0.1:{topics.broker.scram}"))


@pytest.mark.usefixtures("_soon")
def test_a_broker_that_is_not_there_is_unavailable(topics: Topics) -> None:
    with pytest.raises(
        sa.SinkUnavailable, match=r"cannot connect to Kafka at 127.0.0.1:\d+ \(.*start the broker or check"
    ):
        bring(topics, topics.url(f"127.0.0.1:{free_port()}"))


@pytest.mark.parametrize(
    ("name", "settings", "partitions", "told"),
    [
        (
            "ledgers",
            {"cleanup.policy": "compact"},
            1,
            r"ledgers is compacted, which removes rows of the same",
        ),
        (
            "coverage",
            {"cleanup.policy": "delete"},
            1,
            r"coverage cannot keep coverage: it needs one partition",
        ),
        (
            "coverage",
            {"cleanup.policy": "compact"},
            2,
            r"coverage cannot keep coverage: it needs one partition",
        ),
    ],
)
def test_a_topic_with_settings_that_lose_rows_is_refused(
    topics: Topics, name: str, settings: dict[str, str], partitions: int, told: str
) -> None:
    make(topics, name, settings, partitions)
    with pytest.raises(sa.SchemaMismatch, match=told):
        bring(topics, topics.url())


def test_topics_with_messages_whose_coverage_is_gone_are_refused(topics: Topics) -> None:
    bring(topics, topics.url())
    client = AdminClient({"bootstrap.servers": topics.broker.address})
    for done in client.delete_topics([f"{topics.prefix}coverage"]).values():
        done.result(60)
    with pytest.raises(sa.SchemaMismatch, match=r"holds messages, but .*coverage, which tells their ledgers"):
        bring(topics, topics.url())


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"network": "pubnet"}, "was written with network 'Stellarrow Synthetic .*', not 'Public Global"),
        ({"decoded": True}, "was written with decoded 'none', not 'yes'"),
        ({"where": sa.Filter(include_deleted=False)}, "was written with filter 'none', not"),
    ],
)
def test_topics_that_were_written_otherwise_are_refused(
    topics: Topics, choices: dict[str, Any], told: str
) -> None:
    bring(topics, topics.url())
    for url in (topics.url(), topics.url() + "&format=json"):
        made = {"network": "synthetic", **choices} if url == topics.url() else {"network": "synthetic"}
        with closing(KafkaSink(url, TABLES, **made)) as opened, pytest.raises(sa.SchemaMismatch) as refused:
            opened.coverage()
        assert refused.match(told if url == topics.url() else "encoding 'arrow', not 'json'")


def test_a_ledger_that_is_larger_than_a_message_comes_in_parts_and_a_row_that_is_is_refused(
    topics: Topics,
) -> None:
    for table in TABLES:
        make(topics, table, {"max.message.bytes": "8000"})
    made = topics.batch(100, 100)
    wide = {name: sa.decode(rows_of_large(), tables=[name], network="synthetic")[name] for name in TABLES}
    one = sa.LedgerBatch(100, 100, wide, replace(made.run))
    with closing(KafkaSink(topics.url(), TABLES, network="synthetic", policy=ONCE)) as opened:
        opened.write(one)
        opened.commit()
    found = topics.consumer.messages(f"{topics.prefix}contract_data")
    parts = [dict(message["headers"])["part"].decode() for message in found]
    assert len(parts) > 1
    assert parts == [f"{number}/{len(parts)}" for number in range(1, len(parts) + 1)]
    assert topics.consumer.rows(f"{topics.prefix}contract_data") == wide["contract_data"].to_pylist()
    topics.prefix = f"{token_hex(4)}."
    for table in TABLES:
        make(topics, table, {"max.message.bytes": "3000"})
    with closing(KafkaSink(topics.url(), TABLES, network="synthetic", policy=ONCE)) as opened:
        opened.write(one)
        with pytest.raises(
            sa.LedgersRefused, match=r"a row of ledger 100 takes .*raise the topic's max.message"
        ):
            opened.commit()
        assert not opened.coverage()


def rows_of_large() -> bytes:
    return sa.synth(1, 20, first=100, ledger_bytes=100_000)


def test_a_writer_that_never_gets_through_says_why(topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
    bring(topics, topics.url())
    monkeypatch.setattr(message_sink, "_TURNS", 2)
    commit = transaction.Writer.commit

    def overtaken(writer: transaction.Writer) -> None:
        monkeypatch.setattr(transaction.Writer, "commit", commit)
        other = KafkaSink(topics.url(), TABLES, network="synthetic")
        other.write(topics.batch(110, 110))
        other.commit()
        other.close()
        monkeypatch.setattr(transaction.Writer, "commit", overtaken)
        commit(writer)

    monkeypatch.setattr(transaction.Writer, "commit", overtaken)
    with closing(KafkaSink(topics.url(), TABLES, network="synthetic", policy=ONCE)) as opened:
        opened.write(topics.batch(105, 109))
        with pytest.raises(sa.SinkError, match=r"other writers took over .* 2 times .*: run fewer writers"):
            opened.commit()


def test_health_says_what_is_there_and_changes_nothing(topics: Topics) -> None:
    with closing(KafkaSink(topics.url(), TABLES, network="synthetic")) as opened:
        before = opened.health()
        assert (before.state, "no topic" in before.message) == ("ok", True)
        bring(topics, topics.url())
        assert f"1 broker, 3 topics {topics.prefix}*" in opened.health().message
    topics.prefix = f"{token_hex(4)}."
    make(topics, "coverage", {"cleanup.policy": "delete"})
    with closing(KafkaSink(topics.url(), TABLES, network="synthetic")) as opened:
        assert opened.health().state == "broken"
