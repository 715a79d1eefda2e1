"""URLs as people see them: no key, wherever it stands, and everything else as it was."""

from __future__ import annotations

import pytest

from stellarrow.net.redaction import MASK, redacted_text, redacted_url

KEY = "k3yThatN0bodyMaySee"


@pytest.mark.parametrize(
    "url",
    [
        f"https://{KEY}@node.example/",
        f"https://user:{KEY}@node.example/path",
        f"https://node.example/rpc?apikey={KEY}",
        f"https://node.example/rpc?{KEY}",
        f"https://node.example/rpc?a=b&sig={KEY}%zz",
        f"rpc+https://node.example/v1/{KEY}",
        f"rpc+https://node.example/v1/{KEY}/",
        f"https://node.example/v1/{KEY}",
        f"htps://node.example/v1/{KEY}",
        f"postgress://u:{KEY}@host/db",
        f"postgres://u:{KEY}%zz@host/db",
        f"postgres://u:pa/{KEY}@host/db",
        f"postgres://u:p?a/{KEY}@host/db",
        f"postgres://u:12/{KEY}@host/db",
        f"postgres://u:p@{KEY}@host/db",
        f"postgres://u@host/db?password={KEY}",
        f"postgres:/u:{KEY}@host/db",
        f"postgres:u:{KEY}@host/db",
        f"host=h user=u password={KEY} dbname=d",
        f"host=h password='{KEY} and more' dbname=d",
        f"u:{KEY}@host/db",
        f"s3://AKID:{KEY}@bucket/lake",
        f"s3://AKID:a/{KEY}@bucket/lake",
        f"az://container/lake?sig={KEY}",
        f"parquet:https://u:{KEY}@store.example/out?codec=lz4",
        f"parquet:s3://bucket/out?endpoint=https://u:{KEY}@store.example",
        f"./lake,https://node.example/x?token={KEY}",
        f"rpc+https://a.example/{KEY},rpc+https://b.example/{KEY}",
        f"https://node.example/#{KEY}",
        f"grpc://u:{KEY}@host:50053",
        f"kafka://u:{KEY}@host:9092,other.example:9092/?topic_prefix=a.",
        f"kafka://u:a,b:{KEY}@host:9092",
        f"clickhouse://ann:{KEY}@host:8123/stellar?tls=yes",
        f"kafka://host:9092,other.example:9092/?sasl_password={KEY}",
        f"nats://u:{KEY}@host:4222,other.example:4222/?stream=a",
        f"nats://{KEY}@host",
        f"tls://u:{KEY}@host",
    ],
)
def test_no_key_in_a_url_is_shown(url: str) -> None:
    assert KEY not in redacted_url(url)
    assert KEY not in redacted_text(f"{url} does not answer; {url}: trying again")
    assert MASK in redacted_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/some/prefix-of-2024-with-digits/lake",
        "https://lake.example/ledgers/pubnet",
        "https://lake.example/ledgers/FC4DFFFF--62590976-62654975/FC4EB5FF--62540288.xdr.zst",
        "rpc+https://node.example:8000/v1/soroban/rpc",
        "postgres://user@localhost/stellar?sslmode=require",
        "postgresql://user@[::1]:5432/stellar",
        "parquet:./out?partition=date&codec=lz4&ledgers=10",
        "parquet:s3://bucket/a@b/out",
        "parquet:/data/stellar-archive-of-2026/out",
        "s3://bucket/a@b",
        "./lake/*.xdr?",
        "jsonl:./out@2",
        "grpc://localhost:50053",
        "kafka://a.example:9092,b.example:9092/?topic_prefix=stellar.&format=json&key=contract&partitions=3",
        "nats://a.example:4222,b.example:4222/?stream=a&subject_prefix=b.c&replicas=3&inbox_prefix=_INBOX_a",
        "-",
    ],
)
def test_what_holds_no_key_is_shown_whole(url: str) -> None:
    assert redacted_url(url) == url


def test_the_user_of_a_database_stays_readable() -> None:
    assert redacted_url("postgres://ann:secret@host/db") == f"postgres://ann:{MASK}@host/db"


def test_a_short_word_in_the_path_of_an_rpc_node_counts_as_a_key() -> None:
    assert redacted_url("https://node.example/v1/abc", rpc=True) == f"https://node.example/v1/{MASK}"


def test_a_sentence_keeps_its_words_and_loses_its_keys() -> None:
    text = f"GET https://store.example/lake/.config.json?sig={KEY}: timed out, try u:{KEY}@host."
    assert redacted_text(text) == (
        f"GET https://store.example/lake/.config.json?sig={MASK}: timed out, try {MASK}@host."
    )


def test_a_time_or_an_address_in_a_sentence_is_left_alone() -> None:
    text = "at 12:30 node.example:443 gave 3 of 5, ann@example.com knows"
    assert redacted_text(text) == text
