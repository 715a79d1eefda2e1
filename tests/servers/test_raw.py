"""Raw ledgers for others, over real gRPC and Flight, out of a real RPC node."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("stellarrow.proto.raw_ledger_service_pb2", reason="make builds it")

import grpc
import pyarrow as pa
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from pyarrow import flight

import stellarrow as sa
from servers import raw_ledgers
from servers.rpc import RpcNode, html, reset, serving, slow, status
from stellarrow.address import Address
from stellarrow.deadletters import DeadLetters
from stellarrow.decode import frame, sequences, synthetic
from stellarrow.metrics import Metrics
from stellarrow.proto.raw_ledger_service_pb2 import RawLedger, StreamLedgersRequest
from stellarrow.resilience import Policy
from stellarrow.servers.listening import Tls
from stellarrow.servers.raw.checking import Ledger, LedgerUnsound, SoundLedgers
from stellarrow.servers.raw.flight import SCHEMA, RawLedgerFlight
from stellarrow.servers.raw.grpc import RawLedgerServer
from stellarrow.servers.raw.relay import Relay
from stellarrow.sources.files import FileSource
from stellarrow.sources.grpc import GrpcSource
from stellarrow.sources.rpc import RpcSource

BRISK = Policy(attempts=6, first_wait=0.01, longest_wait=0.05, timeout=5.0, reset_after=0.05)
ANYWHERE = Address("127.0.0.1", 0)


class Relayed:
    """A relay over a node, and what it needs."""

    def __init__(self, source: sa.Source, folder: Path, *, budget: int = 64 << 20) -> None:
        self.source = source
        self.metrics = Metrics()
        self.letters = DeadLetters(folder)
        sound = SoundLedgers(source, network=sa.Network.of("synthetic"), letters=self.letters)
        self.relay = Relay(source, sound, source_type="rpc", budget=budget, metrics=self.metrics)
        self.relay.start()

    def close(self) -> None:
        self.relay.close()
        self.source.close()


MakeRelay = Callable[..., Relayed]


@pytest.fixture
def node(ledgers: tuple[bytes, ...]) -> Iterator[RpcNode]:
    with serving(RpcNode(ledgers)) as node:
        yield node


@pytest.fixture
def relayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeRelay]:
    monkeypatch.setattr("stellarrow.servers.raw.relay._POLL", 0.05)
    monkeypatch.setattr("stellarrow.servers.raw.relay._LEAST", 40_000)  # about ten ledgers
    with ExitStack() as stack:

        def made(node: RpcNode, **choices: Any) -> Relayed:
            source = RpcSource([node.url], policy=BRISK, poll=0.02)
            return stack.enter_context(closing(Relayed(source, tmp_path / "letters", **choices)))

        yield made


def numbers(streams: Iterator[list[Ledger]], count: int | None = None) -> list[int]:
    """Take the first ledgers of a stream; all without a count."""
    with closing(streams) as groups:  # type: ignore[type-var]
        return list(islice((ledger.sequence for group in groups for ledger in group), count))


def until(true: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def checks(relay: Relay) -> dict[str, Any]:
    return {part.check().name: part.check() for part in relay.components}


# The relay


def test_history_and_live_edge_come_as_one(node: RpcNode, relayed: MakeRelay) -> None:
    relay = relayed(node).relay
    assert numbers(relay.streams(103, 139)) == list(range(103, 140))
    assert numbers(relay.streams(0, 139)) == [139]


def test_ledgers_are_what_the_node_has(node: RpcNode, relayed: MakeRelay, ledgers: tuple[bytes, ...]) -> None:
    groups = relayed(node).relay.streams(100, 139)
    assert [ledger.xdr for group in groups for ledger in group] == list(ledgers)


def test_readers_at_one_place_share_one_reading(node: RpcNode, relayed: MakeRelay) -> None:
    relay = relayed(node).relay
    until(lambda: relay.latest == 139)
    node.faults = [slow(0.5)] * 8  # all are there before the first answer is
    seen: dict[int, list[int]] = {}

    def read(reader: int) -> None:
        seen[reader] = numbers(relay.streams(100, 139))

    threads = [threading.Thread(target=read, args=(reader,)) for reader in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {reader: list(range(100, 140)) for reader in range(4)}
    starts = [one["params"].get("startLedger") for one in node.asked if one["method"] == "getLedgers"]
    assert starts.count(100) == 1


def test_a_slow_reader_slows_nobody_and_misses_nothing(node: RpcNode, relayed: MakeRelay) -> None:
    more = list(islice(synthetic(20, first=100, ledger_bytes=4_096), 400))
    relay = relayed(node, budget=200_000).relay  # the window holds about a dozen
    slow = relay.streams(130)
    seen = [ledger.sequence for ledger in next(slow)]
    quick: list[int] = []
    reader = threading.Thread(target=lambda: quick.extend(numbers(relay.streams(100), 400)))
    reader.start()
    for ledger in more[40:]:
        node.add(ledger)
    reader.join(20)
    assert quick == list(range(100, 500))
    assert checks(relay)["source"].metrics["window_ledgers"] < 30
    seen += numbers(slow, 370 - len(seen))
    assert seen == list(range(130, 500))


def test_readers_far_apart_of_a_source_that_cannot_tell_wait_for_none_of_each_other(
    tmp_path: Path, ledgers: tuple[bytes, ...]
) -> None:
    with (
        raw_ledgers.serving(raw_ledgers.RawLedgers(ledgers)) as port,
        closing(Relayed(GrpcSource(f"grpc://127.0.0.1:{port}"), tmp_path / "letters")) as held,
    ):
        relay = held.relay
        early, late = relay.streams(100), relay.streams(137)
        seen = [ledger.sequence for ledger in next(early)]
        assert numbers(late, 3) == [137, 138, 139]
        assert seen + numbers(early, 40 - len(seen)) == list(range(100, 140))
        assert checks(relay)["source"].healthy


def test_a_new_ledger_reaches_every_reader(node: RpcNode, relayed: MakeRelay) -> None:
    relay = relayed(node).relay
    readers = [iter(relay.streams(139)) for _ in range(3)]
    assert [next(reader)[0].sequence for reader in readers] == [139] * 3
    node.add(list(islice(synthetic(20, first=100, ledger_bytes=4_096), 41))[-1])
    assert [next(reader)[0].sequence for reader in readers] == [140] * 3
    assert b'current_ledger{source_type="rpc"} 140.0' in relay._metrics.text()


def corrupted(node: RpcNode, number: int) -> str:
    """Flip a bit within a ledger's header; return what was there."""
    whole = node.metas[number]
    node.metas[number] = whole[:200] + ("A" if whole[200] != "A" else "B") + whole[201:]
    return whole


def test_a_corrupt_ledger_is_put_aside_and_never_passed_on(node: RpcNode, relayed: MakeRelay) -> None:
    whole = corrupted(node, 117)
    held = relayed(node)
    seen: list[int] = []

    def read() -> None:
        for group in held.relay.streams(110, 139):
            seen.extend(ledger.sequence for ledger in group)

    with pytest.raises(LedgerUnsound, match=r"ledger 117 of http.* is not sound: .* mend the source"):
        read()
    assert seen == list(range(110, 117))
    (letter,) = held.letters.entries()
    assert (letter.ledger, letter.framing) == (117, "single")
    quarantine = checks(held.relay)["quarantine"]
    assert (quarantine.healthy, quarantine.essential, quarantine.metrics["ledgers"]) == (False, False, 1)
    assert b'ledgers_processed_total{source_type="rpc",status="quarantined"} 1.0' in held.metrics.text()
    node.metas[117] = whole
    assert numbers(held.relay.streams(110, 139)) == list(range(110, 140))


def test_a_ledger_that_is_corrupt_only_once_is_read_again(node: RpcNode, relayed: MakeRelay) -> None:
    whole = corrupted(node, 117)
    held = relayed(node)
    until(lambda: held.relay.latest == 139)

    def mend(request: dict[str, Any]) -> None:
        if request.get("params", {}).get("startLedger") == 117:
            node.metas[117] = whole

    node.faults = [mend] * 20
    assert numbers(held.relay.streams(110, 139)) == list(range(110, 140))
    assert held.letters.entries() == []


def test_a_corrupt_ledger_at_the_live_edge_makes_it_unhealthy_until_mended(
    node: RpcNode, relayed: MakeRelay
) -> None:
    more = list(islice(synthetic(20, first=100, ledger_bytes=4_096), 41))
    held = relayed(node)
    readers = held.relay.streams(139)
    next(readers)
    whole = node.metas[120]
    node.metas = {**node.metas, 140: whole}  # a ledger that is another one
    with pytest.raises(LedgerUnsound, match="ledger 140"):
        next(readers)
    assert not checks(held.relay)["source"].healthy
    node.metas.pop(140)
    node.add(more[-1])
    until(lambda: checks(held.relay)["source"].healthy)
    assert numbers(held.relay.streams(139), 2) == [139, 140]


def test_ledgers_of_another_network_are_not_passed_on(relayed: MakeRelay) -> None:
    other = tuple(islice(synthetic(20, first=100, ledger_bytes=4_096, network="testnet"), 10))
    with serving(RpcNode(other)) as node, pytest.raises(LedgerUnsound, match="network"):
        numbers(relayed(node).relay.streams(100, 109))


def test_a_chain_that_breaks_is_not_passed_on(node: RpcNode, relayed: MakeRelay) -> None:
    other = RpcNode(tuple(islice(synthetic(20, seed=9, first=100, ledger_bytes=4_096), 40)))
    node.metas = {**node.metas, **{number: other.metas[number] for number in range(120, 140)}}
    held = relayed(node)
    seen: list[int] = []

    def read() -> None:
        for group in held.relay.streams(110, 130):
            seen.extend(ledger.sequence for ledger in group)

    with pytest.raises(LedgerUnsound, match=r"ledger 120 .* before it"):
        read()
    assert seen == list(range(110, 120))


def test_what_the_source_does_not_have_is_said(node: RpcNode, relayed: MakeRelay) -> None:
    relay = relayed(node).relay
    until(lambda: relay.latest == 139)
    with pytest.raises(sa.LedgerMissing, match="ledger 60 is no longer in"):
        numbers(relay.streams(60))
    assert checks(relay)["source"].healthy


def test_a_batch_larger_than_the_window_is_taken_apart(
    tmp_path: Path, ledgers: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellarrow.servers.raw.relay._LEAST", 10_000)
    (tmp_path / "batch.xdr.zst").write_bytes(frame(ledgers, "batch", compression_level=3))
    source = FileSource(tmp_path / "batch.xdr.zst")
    with closing(Relayed(source, tmp_path / "letters", budget=100_000)) as held:
        groups = held.relay.streams(110, 139)
        assert [ledger.xdr for group in groups for ledger in group] == list(ledgers[10:])


# gRPC


@pytest.fixture
def raw(node: RpcNode, relayed: MakeRelay) -> Iterator[RawLedgerServer]:
    with closing(RawLedgerServer(ANYWHERE, relayed(node).relay)) as server:
        server.start()
        yield server


def test_grpc_clients_read_at_their_own_positions(raw: RawLedgerServer) -> None:
    seen: dict[int, list[int]] = {}

    def read(first: int) -> None:
        with closing(GrpcSource(f"grpc://{raw.address}")) as source:
            seen[first] = [chunk.first for chunk in source.read(sa.LedgerRange(first, 139))]

    threads = [threading.Thread(target=read, args=(first,)) for first in (100, 111, 125, 139)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {first: list(range(first, 140)) for first in (100, 111, 125, 139)}


def test_grpc_says_what_is_wrong(node: RpcNode, raw: RawLedgerServer) -> None:
    with closing(GrpcSource(f"grpc://{raw.address}", policy=BRISK)) as source:
        with pytest.raises(sa.LedgerMissing, match="ledger 60 is no longer in"):
            next(source.read(sa.LedgerRange(60)))
        corrupted(node, 117)
        with pytest.raises(sa.SourceError, match=r"ledger 117 .* is not sound"):
            list(source.read(sa.LedgerRange(110)))


def health_of(channel: grpc.Channel, service: str = "") -> int:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    status: int = stub.Check(health_pb2.HealthCheckRequest(service=service)).status
    return status


def test_grpc_tells_its_health_and_its_services(raw: RawLedgerServer) -> None:
    service = "raw_ledger_service.RawLedgerService"
    with grpc.insecure_channel(str(raw.address)) as channel:
        assert health_of(channel, service) == health_pb2.HealthCheckResponse.NOT_SERVING
        raw.serving(True)
        assert health_of(channel, service) == health_pb2.HealthCheckResponse.SERVING
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        (answer,) = stub.ServerReflectionInfo(iter([request]))
        assert service in [one.name for one in answer.list_services_response.service]


def test_a_stream_ends_at_a_ledger_when_the_server_drains(node: RpcNode, relayed: MakeRelay) -> None:
    held = relayed(node)
    with (
        closing(RawLedgerServer(ANYWHERE, held.relay)) as server,
        grpc.insecure_channel(str(server.address)) as channel,
    ):
        server.start()
        stream = channel.unary_stream(
            "/raw_ledger_service.RawLedgerService/StreamRawLedgers",
            request_serializer=StreamLedgersRequest.SerializeToString,
            response_deserializer=RawLedger.FromString,
        )(StreamLedgersRequest(start_ledger=130))
        seen = [next(stream).sequence for _ in range(10)]
        held.relay.close()
        seen += [message.sequence for message in stream]
        assert stream.code() is grpc.StatusCode.OK
    assert seen == list(range(130, 140))


def known(headers: Any) -> str:
    if headers.get("authorization") != "Bearer right":
        raise PermissionError("show your key")
    return "reader"


def test_grpc_asks_who_one_is(node: RpcNode, relayed: MakeRelay) -> None:
    relay = relayed(node).relay
    with (
        closing(RawLedgerServer(ANYWHERE, relay, authenticator=known)) as server,
        grpc.insecure_channel(str(server.address)) as channel,
    ):
        server.start()
        call = channel.unary_stream(
            "/raw_ledger_service.RawLedgerService/StreamRawLedgers",
            request_serializer=StreamLedgersRequest.SerializeToString,
            response_deserializer=RawLedger.FromString,
        )
        with pytest.raises(grpc.RpcError, match="show your key"):
            next(call(StreamLedgersRequest(start_ledger=139)))
        stream = call(StreamLedgersRequest(start_ledger=139), metadata=(("authorization", "Bearer right"),))
        assert next(stream).sequence == 139
        stream.cancel()


@pytest.fixture
def identity(tmp_path: Path) -> tuple[Tls, bytes, bytes, bytes]:
    """A server's TLS, and a client's authority, certificate and key."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_pem.write_to_path(tmp_path / "key")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate")
    authority.cert_pem.write_to_path(tmp_path / "ca")
    tls = Tls(tmp_path / "certificate", tmp_path / "key", tmp_path / "ca")
    return tls, authority.cert_pem.bytes(), issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()


def test_both_speak_mutual_tls(
    node: RpcNode, relayed: MakeRelay, identity: tuple[Tls, bytes, bytes, bytes]
) -> None:
    tls, authority, certificate, key = identity
    relay = relayed(node).relay
    with closing(RawLedgerServer(ANYWHERE, relay, tls=tls)) as server:
        server.start()
        place = f"localhost:{server.address.port}"
        with grpc.secure_channel(place, grpc.ssl_channel_credentials(authority, key, certificate)) as channel:
            assert health_of(channel) == health_pb2.HealthCheckResponse.NOT_SERVING
        with (
            grpc.secure_channel(place, grpc.ssl_channel_credentials(authority)) as channel,
            pytest.raises(grpc.RpcError),
        ):
            health_of(channel)
    with closing(RawLedgerFlight(ANYWHERE, relay, source_type="rpc", source_url="x", tls=tls)) as server:
        place = f"grpc+tls://localhost:{server.address.port}"
        with flight.connect(
            place, tls_root_certs=authority, cert_chain=certificate, private_key=key
        ) as client:
            assert len(list(client.list_flights())) == 1


# Flight


@pytest.fixture
def flown(node: RpcNode, relayed: MakeRelay) -> Iterator[flight.FlightClient]:
    relay = relayed(node).relay
    with (
        closing(RawLedgerFlight(ANYWHERE, relay, source_type="rpc", source_url=node.url)) as server,
        flight.connect(f"grpc://{server.address}") as client,
    ):
        until(lambda: relay.latest == 139)
        yield client


def ticket(**command: Any) -> flight.Ticket:
    return flight.Ticket(json.dumps(command).encode())


def test_flight_gives_a_range_with_all_columns(
    flown: flight.FlightClient, node: RpcNode, ledgers: tuple[bytes, ...]
) -> None:
    table = flown.do_get(ticket(start_ledger=110, end_ledger=139)).read_all()
    assert table.schema == SCHEMA
    assert table.column("ledger_sequence").to_pylist() == list(range(110, 140))
    assert table.column("ledger_close_meta_xdr").to_pylist() == list(ledgers[10:])
    assert set(table.column("source_url").to_pylist()) == {node.url}
    told = sa.decode(b"".join(ledgers[10:11]), ["ledgers"], network="synthetic")["ledgers"].to_pylist()[0]
    row = table.slice(0, 1).to_pylist()[0]
    assert {name: row[name] for name in set(row) & set(told)} == {
        name: told[name] for name in set(row) & set(told)
    }


def test_flight_describes_itself_by_path_and_by_command(flown: flight.FlightClient) -> None:
    (listed,) = flown.list_flights()
    assert listed.descriptor.path == [b"raw_ledgers"]
    path = flight.FlightDescriptor.for_path("raw_ledgers")
    assert flown.get_schema(path).schema == SCHEMA
    bounded = flight.FlightDescriptor.for_command(json.dumps({"start_ledger": 100, "end_ledger": 139}))
    info = flown.get_flight_info(bounded)
    rows = [flown.do_get(endpoint.ticket).read_all().num_rows for endpoint in info.endpoints]
    assert sum(rows) == 40


def test_flight_takes_up_where_it_was(flown: flight.FlightClient) -> None:
    seen: list[int] = []
    resume = "100"
    while len(seen) < 40:
        reader = flown.do_get(ticket(**{"from": resume}))
        chunk = reader.read_chunk()
        seen += chunk.data.column("ledger_sequence").to_pylist()
        told = json.loads(chunk.app_metadata.to_pybytes())
        assert (told["first_ledger"], told["last_ledger"]) == (seen[-chunk.data.num_rows], seen[-1])
        resume = told["resume"]
        reader.cancel()
    assert seen == list(range(100, 140))


def test_flight_follows_the_chain(flown: flight.FlightClient, node: RpcNode) -> None:
    reader = flown.do_get(ticket(**{"from": "latest", "follow": True}))
    assert reader.read_chunk().data.column("ledger_sequence").to_pylist() == [139]
    node.add(list(islice(synthetic(20, first=100, ledger_bytes=4_096), 41))[-1])
    assert reader.read_chunk().data.column("ledger_sequence").to_pylist() == [140]
    reader.cancel()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (b"{", "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"tables": 1}', "the command has tables, unknown here: use table, start_ledger"),
        (b'{"start_ledger": "1"}', "start_ledger is '1': it must be a ledger's sequence"),
        (b'{"start_ledger": -1}', "start_ledger is -1"),
        (b'{"from": 7}', "from is 7: it must be earliest, latest or a resume token"),
        (b'{"follow": 1}', "follow is 1: it must be true or false"),
        (b'{"start_ledger": 9, "end_ledger": 8}', "end_ledger is before start_ledger"),
    ],
)
def test_flight_refuses_what_it_does_not_know(flown: flight.FlightClient, command: bytes, told: str) -> None:
    with pytest.raises(pa.ArrowInvalid, match=told):
        flown.do_get(flight.Ticket(command)).read_all()
    with pytest.raises(pa.ArrowInvalid, match=told):
        flown.get_flight_info(flight.FlightDescriptor.for_command(command))


def test_flight_compresses_as_the_client_chooses(flown: flight.FlightClient) -> None:
    for codec in ("none", "lz4", "zstd"):
        chosen = flight.FlightCallOptions(headers=[(b"compression", codec.encode())])
        assert flown.do_get(ticket(start_ledger=130, end_ledger=139), chosen).read_all().num_rows == 10
    wrong = flight.FlightCallOptions(headers=[(b"compression", b"rar")])
    with pytest.raises(pa.ArrowInvalid, match="must be none, lz4, zstd"):
        flown.do_get(ticket(start_ledger=130, end_ledger=139), wrong).read_all()


def test_flight_has_no_other_table(flown: flight.FlightClient) -> None:
    with pytest.raises(pa.ArrowInvalid, match=r"there is no .contract/data. here: ask for raw_ledgers"):
        flown.get_schema(flight.FlightDescriptor.for_path("contract", "data"))
    with pytest.raises(KeyError, match="ledger 60 is no longer in"):
        flown.do_get(ticket(start_ledger=60)).read_all()


def test_flight_asks_who_one_is(node: RpcNode, relayed: MakeRelay) -> None:
    relay = relayed(node).relay
    with (
        closing(
            RawLedgerFlight(ANYWHERE, relay, source_type="rpc", source_url="x", authenticator=known)
        ) as server,
        flight.connect(f"grpc://{server.address}") as client,
    ):
        with pytest.raises(flight.FlightUnauthenticatedError, match="show your key"):
            list(client.list_flights())
        right = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer right")])
        assert len(list(client.list_flights(options=right))) == 1


# Weather


def disturbed(seed: int, node: RpcNode, held: Relayed) -> None:
    """Let readers begin anywhere and dawdle while the node fails: each gets all, or a clear stop."""
    chance = random.Random(seed)  # noqa: S311
    faults = (status(429, Retry_After="0.01"), status(500), html, reset, *(None,) * 12)
    node.faults += chance.choices(faults, k=100)
    node.cap = chance.choice((3, 10, 200))
    wrong: list[str] = []

    def read(first: int, pauses: list[float]) -> None:
        seen: list[int] = []
        try:
            for group in held.relay.streams(first, 139):
                time.sleep(pauses[len(seen) % len(pauses)])
                for ledger in group:
                    seen += sequences(ledger.xdr, "single")
        except sa.SourceUnavailable:
            if seen != list(range(first, first + len(seen))):
                wrong.append(f"{first}: {seen}")
        else:
            if seen != list(range(first, 140)):
                wrong.append(f"{first}: {seen}")

    readers = [
        threading.Thread(
            target=read, args=(chance.randrange(100, 140), chance.choices((0, 0, 0.005, 0.02), k=7))
        )
        for _ in range(5)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(30)
        assert not reader.is_alive()
    assert wrong == []


@pytest.mark.parametrize("seed", range(4))
def test_random_faults_and_paces_leave_all_or_a_clear_stop(
    seed: int, node: RpcNode, relayed: MakeRelay
) -> None:
    disturbed(seed, node, relayed(node, budget=100_000))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1_000, 1_150))
def test_many_random_faults_and_paces_leave_all_or_a_clear_stop(
    seed: int, node: RpcNode, relayed: MakeRelay
) -> None:
    disturbed(seed, node, relayed(node, budget=100_000))
