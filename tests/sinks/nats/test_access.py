"""How servers are reached, and what is said where they or their streams refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
import trustme

import stellarrow as sa
from fakes._nats_credentials import credentials
from fakes.nats import NatsServer, started
from fakes.process import Process, free_port, program
from sinks.kafka.test_faults import wait_for
from sinks.nats.test_faults import TABLES, Streams
from stellarrow.net.resilience import Policy
from stellarrow.sinks.nats import NatsSink, connection
from stellarrow.sinks.nats.stream import Stream
from stellarrow.sinks.transactional import message_sink

ONCE = Policy(attempts=1)
PASSWORD = "ann-knows-it"
_USERS = f"""
authorization {{ users [
  {{ user: ann, password: {PASSWORD} }}
  {{ user: bob, password: {PASSWORD}, permissions {{
    publish: ["few.>", "$JS.API.STREAM.INFO.few", "$JS.API.STREAM.CREATE.few", "$JS.API.DIRECT.GET.few"]
    subscribe: ["_INBOX_bob.>"]
  }} }}
] }}
"""
Start = Callable[..., NatsServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers of a test's own; they end with it."""
    with ExitStack() as ending:

        def made(more: str) -> NatsServer:
            folder = tmp_path / token_hex(4)
            folder.mkdir()
            server = started(folder, more)
            ending.callback(server.process.kill)
            return server

        yield made


@pytest.fixture
def streams(nats: NatsServer, ledgers: tuple[bytes, ...]) -> Streams:
    return Streams(nats, ledgers)


def bring(streams: Streams, url: str, **choices: Any) -> sa.LedgerSet:
    with closing(NatsSink(url, TABLES, **{"network": "synthetic", "policy": ONCE, **choices})) as opened:
        opened.write(streams.batch(100, 104))
        opened.commit()
        return opened.coverage()


def refusal(streams: Streams, url: str) -> str:
    with pytest.raises(sa.SinkError) as refused:
        bring(streams, url)
    assert PASSWORD not in str(refused.value)
    assert "wrong" not in str(refused.value).partition("wrong last")[0]
    return str(refused.value)


def test_a_user_with_a_password_writes_and_others_are_told_what_to_set(
    streams: Streams, start: Start
) -> None:
    host = start(_USERS).address
    assert str(bring(streams, f"nats://ann:{PASSWORD}@{host}")) == "100:104"
    told = "uthorization .*: set the right user, password"
    for login in ("", "ann:wrong@", "wrong@"):
        with pytest.raises(sa.SinkError, match=told) as refused:
            bring(streams, f"nats://{login}{host}")
        assert "wrong" not in str(refused.value)


def test_a_user_needs_only_the_permissions_that_the_documentation_names(
    streams: Streams, start: Start
) -> None:
    host = start(_USERS).address
    bob = f"nats://bob:{PASSWORD}@{host}/?inbox_prefix=_INBOX_bob&stream="
    assert str(bring(streams, f"{bob}few")) == "100:104"
    assert sa.scan(f"{bob}few", table="ledgers").to_table().num_rows == 5
    assert "ermissions" in refusal(streams, f"{bob}more")
    assert "let this user publish" in refusal(streams, f"nats://bob:{PASSWORD}@{host}/?stream=few")


def test_a_token_and_a_credentials_file_let_in(
    streams: Streams, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = start(f"authorization {{ token: {PASSWORD} }}").address
    assert str(bring(streams, f"nats://{PASSWORD}@{host}")) == "100:104"
    monkeypatch.setenv("NATS_TOKEN", PASSWORD)
    assert str(bring(streams, f"nats://{host}/?stream=another")) == "100:104"
    made, file = credentials(), tmp_path / "ann.creds"
    file.write_text(made.user)
    host = start(made.settings).address
    assert str(bring(streams, f"nats://{host}/?credentials={file}")) == "100:104"
    file.write_text("nothing of the kind")
    with pytest.raises(
        sa.StellarrowError, match="holds no JWT and key of a user: name a file as nsc makes it"
    ):
        bring(streams, f"nats://{host}/?credentials={file}")


def test_tls_is_checked_against_the_right_ca_and_shows_our_certificate(
    streams: Streams, start: Start, tmp_path: Path
) -> None:
    ca, files = trustme.CA(), {name: str(tmp_path / name) for name in ("ca", "cert", "key", "ours", "own")}
    ca.cert_pem.write_to_path(files["ca"])
    for one, (cert, key) in {"127.0.0.1": ("cert", "key"), "ann": ("ours", "own")}.items():
        issued = ca.issue_cert(one)
        issued.cert_chain_pems[0].write_to_path(files[cert])
        issued.private_key_pem.write_to_path(files[key])
    tls = f"cert_file: '{files['cert']}', key_file: '{files['key']}'"
    host = start(f"tls {{ {tls} }}").address
    assert str(bring(streams, f"tls://{host}/?ca={files['ca']}")) == "100:104"
    assert "give the right CA in ca=FILE" in refusal(streams, f"tls://{host}")
    host = start(f"tls {{ {tls}, ca_file: '{files['ca']}', verify: true }}").address
    ours = f"ca={files['ca']}&certificate={files['ours']}&private_key={files['own']}"
    assert str(bring(streams, f"nats://{host}/?{ours}")) == "100:104"
    assert "cannot connect to NATS" in refusal(streams, f"nats://{host}/?ca={files['ca']}")


def test_a_server_that_is_not_there_is_unavailable(streams: Streams) -> None:
    told = r"cannot connect to NATS at 127.0.0.1:\d+ \(.*start the server or check"
    with pytest.raises(sa.SinkUnavailable, match=told):
        bring(streams, streams.url(f"127.0.0.1:{free_port()}"))


def test_another_server_of_the_list_takes_the_place_of_one_that_is_not_there(streams: Streams) -> None:
    url = streams.url(f"127.0.0.1:{free_port()},{streams.server.address}")
    assert str(bring(streams, url)) == "100:104"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"allow_atomic": False}, "takes no atomic batches: set allow_atomic, on nats-server 2.12"),
        ({"allow_direct": False}, "cannot be read directly: set allow_direct"),
        ({"allow_rollup_hdrs": False}, "cannot replace coverage: set allow_rollup_hdrs"),
        ({"retention": "workqueue"}, "loses what consumers have read"),
        ({"max_msgs_per_subject": 1}, "keeps few messages a subject"),
        ({"max_msgs": 100}, "would throw coverage away with the oldest rows: set discard=new"),
        ({"max_bytes": 10_000_000}, "would throw coverage away with the oldest rows: set discard=new"),
        ({"max_age": 3600, "allow_msg_ttl": False}, "would throw coverage away by its max_age"),
    ],
)
def test_a_stream_with_settings_that_lose_rows_or_coverage_is_refused(
    streams: Streams, config: dict[str, Any], told: str
) -> None:
    streams.reader.make(name=streams.name, subjects=[f"{streams.name}.>"], **config)
    with pytest.raises(sa.SchemaMismatch, match=told):
        bring(streams, streams.url())
    with closing(NatsSink(streams.url(), TABLES, network="synthetic")) as opened:
        assert opened.health().state == "broken"


def test_subjects_that_another_stream_has_are_refused(streams: Streams) -> None:
    streams.reader.make(name=f"{streams.name}-other", subjects=[f"{streams.name}.>"])
    assert "overlap" in refusal(streams, streams.url())
    there = token_hex(4)
    streams.reader.make(name=there, subjects=[f"{there}.>"])
    url = f"nats://{streams.server.address}/?stream={there}&subject_prefix={streams.name}"
    assert "choose the stream that the subjects belong to" in refusal(streams, url)


def test_two_prefixes_of_one_stream_do_not_contend(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_sink, "_TURNS", 1)
    streams.reader.make(name=streams.name, subjects=[f"{streams.name}.>"])
    urls = [f"{streams.url()}&subject_prefix={streams.name}.{one}" for one in ("a", "b")]
    with ExitStack() as opened:
        sinks = [
            opened.enter_context(closing(NatsSink(url, TABLES, network="synthetic", policy=ONCE)))
            for url in urls
        ]
        for ledger in range(100, 110):
            for sink in sinks:
                sink.write(streams.batch(ledger, ledger))
                sink.commit()
        assert [str(sink.coverage()) for sink in sinks] == ["100:109", "100:109"]


def test_rows_go_by_age_and_coverage_stays(streams: Streams) -> None:
    streams.reader.make(name=streams.name, subjects=[f"{streams.name}.>"], max_age=2.0, duplicate_window=1.0)
    bring(streams, streams.url())

    def are_gone() -> bool:
        return not streams.rows("ledgers") and not streams.rows("contract_data")

    wait_for(are_gone)
    assert str(streams.covered()) == "100:104"
    streams.bring(ledgers=range(100, 107))
    assert not set(streams.rows("ledgers")) & set(range(100, 105))
    assert str(streams.covered()) == "100:106"


def test_messages_whose_coverage_is_gone_are_refused(streams: Streams) -> None:
    bring(streams, streams.url())
    streams.reader.purge(streams.name, f"{streams.name}.coverage.>")
    with pytest.raises(sa.SchemaMismatch, match=r"holds messages, but none of .*coverage.> tells their"):
        bring(streams, streams.url())


@pytest.mark.parametrize(
    ("option", "choices", "told"),
    [
        ("", {"network": "pubnet"}, "was written with network 'Stellarrow Synthetic .*', not 'Public Glob"),
        ("", {"decoded": True}, "was written with decoded 'none', not 'yes'"),
        ("&format=json", {}, "was written with encoding 'arrow', not 'json'"),
        ("&key=contract", {}, "was written with key 'ledger', not 'contract'"),
    ],
)
def test_subjects_that_were_written_otherwise_are_refused(
    streams: Streams, option: str, choices: dict[str, Any], told: str
) -> None:
    bring(streams, streams.url())
    made: dict[str, Any] = {"network": "synthetic", **choices}
    with (
        closing(NatsSink(streams.url() + option, TABLES, **made)) as opened,
        pytest.raises(sa.SchemaMismatch, match=told),
    ):
        opened.coverage()


def test_a_ledger_that_is_larger_than_a_message_comes_in_parts_and_a_row_that_is_is_refused(
    streams: Streams,
) -> None:
    batch = streams.batch(100, 100)
    large = sa.synth(1, 20, first=100, ledger_bytes=100_000)
    wide = {name: sa.decode(large, tables=[name], network="synthetic")[name] for name in TABLES}
    one = sa.LedgerBatch(100, 100, wide, replace(batch.run))
    streams.reader.make(name=streams.name, subjects=[f"{streams.name}.>"], max_msg_size=8_000)
    with closing(NatsSink(streams.url(), TABLES, network="synthetic", policy=ONCE)) as opened:
        opened.write(one)
        opened.commit()
    found = streams.reader.messages(streams.name, f"{streams.name}.contract_data")
    parts = [message["headers"]["part"] for message in found]
    assert len(parts) > 1
    assert parts == [f"{number}/{len(parts)}" for number in range(1, len(parts) + 1)]
    assert streams.reader.rows(streams.name, f"{streams.name}.contract_data") == (
        wide["contract_data"].to_pylist()
    )
    streams.name = token_hex(4)
    streams.reader.make(name=streams.name, subjects=[f"{streams.name}.>"], max_msg_size=3_000)
    with closing(NatsSink(streams.url(), TABLES, network="synthetic", policy=ONCE)) as opened:
        opened.write(one)
        told = r"a row of ledger 100 takes .*: raise max_payload of the server, and max_msg_size"
        with pytest.raises(sa.LedgersRefused, match=told):
            opened.commit()
        assert not opened.coverage()


def test_a_stream_without_room_is_a_sentence_and_holds_what_it_covers(streams: Streams) -> None:
    streams.reader.make(name=streams.name, subjects=[f"{streams.name}.>"], max_bytes=60_000, discard="new")
    told = r"give the stream or the account more room \(max_bytes, max_msgs\)"
    with closing(NatsSink(streams.url(), TABLES, network="synthetic", policy=ONCE)) as opened:
        for ledger in range(100, 103):
            opened.write(streams.batch(ledger, ledger))
            opened.commit()
        opened.write(streams.batch(103, 139))
        with pytest.raises(sa.SinkError, match=told):
            opened.commit()
        assert str(opened.coverage()) == "100:102"
    streams.assert_right()


def test_a_writer_that_never_gets_through_says_why(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    bring(streams, streams.url())
    monkeypatch.setattr(message_sink, "_TURNS", 2)
    publish, ledgers = Stream.publish, iter(range(110, 120))

    def overtaken(stream: Stream, messages: Any) -> int:
        monkeypatch.setattr(Stream, "publish", publish)
        with closing(NatsSink(streams.url(), TABLES, network="synthetic")) as other:
            ledger = next(ledgers)
            other.write(streams.batch(ledger, ledger))
            other.commit()
        monkeypatch.setattr(Stream, "publish", overtaken)
        return publish(stream, messages)

    monkeypatch.setattr(Stream, "publish", overtaken)
    with closing(NatsSink(streams.url(), TABLES, network="synthetic", policy=ONCE)) as opened:
        opened.write(streams.batch(105, 109))
        with pytest.raises(sa.SinkError, match=r"other writers took over .* 2 times .*: run fewer writers"):
            opened.commit()


def test_health_says_what_is_there_and_changes_nothing(streams: Streams) -> None:
    with closing(NatsSink(streams.url(), TABLES, network="synthetic")) as opened:
        assert "is not there yet" in opened.health().message
        assert not streams.reader.messages(streams.name)
        bring(streams, streams.url())
        assert (opened.health().state, "messages" in opened.health().message) == ("ok", True)


def test_threads_that_ask_at_once_share_one_connection(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    connected = connection._connected

    async def noted(*given: Any) -> Any:
        made.append(given)
        return await connected(*given)

    monkeypatch.setattr(connection, "_connected", noted)
    with closing(NatsSink(streams.url(), TABLES, network="synthetic")) as opened:
        with ThreadPoolExecutor(4) as threads:
            states = [one.result().state for one in [threads.submit(opened.health) for _ in range(4)]]
        assert (states, len(made)) == (["ok"] * 4, 1)


def test_a_server_without_jetstream_is_a_sentence(streams: Streams, tmp_path: Path) -> None:
    port = free_port()
    argv: list[str | Path] = [program("nats-server"), "-a", "127.0.0.1", "-p", str(port)]
    process = Process(argv, port=port, log=tmp_path / "log", patience=120)
    try:
        assert "start the server with JetStream" in refusal(streams, f"nats://127.0.0.1:{port}")
    finally:
        process.kill()
