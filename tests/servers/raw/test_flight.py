"""Raw ledgers over Arrow Flight."""

from __future__ import annotations

import json
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

import stellarrow as sa
from fakes.rpc import RpcNode
from memory import MemorySource
from servers.raw.relayed import ANYWHERE, MakeRelay, Relayed, until
from stellarrow.core.synthetic import synthetic
from stellarrow.registry import open_source
from stellarrow.servers.raw.flight import SCHEMA, RawLedgerFlight


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
    answer = sa.decode(b"".join(ledgers[10:11]), ["ledgers"], network="synthetic")["ledgers"].to_pylist()[0]
    row = table.slice(0, 1).to_pylist()[0]
    assert {name: row[name] for name in set(row) & set(answer)} == {
        name: answer[name] for name in set(row) & set(answer)
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
        answer = json.loads(chunk.app_metadata.to_pybytes())
        assert (answer["first_ledger"], answer["last_ledger"]) == (seen[-chunk.data.num_rows], seen[-1])
        resume = answer["resume"]
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
        (b'{"tables": 1}', "the command has 'tables': did you mean 'table'?"),
        (b'{"start_ledger": "1"}', "start_ledger is '1': it must be a ledger's number"),
        (b'{"start_ledger": -1}', "start_ledger is -1"),
        (b'{"from": 7}', "from is 7: it must be a text"),
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


def test_the_source_over_flight_gives_what_the_relay_has(
    node: RpcNode, relayed: MakeRelay, ledgers: tuple[bytes, ...]
) -> None:
    relay = relayed(node).relay
    until(lambda: relay.latest == 139)
    network = sa.Network.of("synthetic")
    served = RawLedgerFlight(ANYWHERE, relay, source_type="rpc", source_url=node.url, network=network)
    with closing(served) as server, closing(open_source(f"flight://{server.address}")) as source:
        assert source.network() == network
        assert source.available().first == 100
        chunks = list(source.read(sa.LedgerRange(100, 139)))
    assert [bytes(chunk.data) for chunk in chunks] == list(ledgers)


def test_large_ledgers_are_sent_alone(tmp_path: Path) -> None:
    large = list(islice(synthetic(20, first=100, ledger_bytes=300_000), 3))
    with closing(Relayed(MemorySource(dict(enumerate(large, 100))), tmp_path)) as relayed:
        served = RawLedgerFlight(ANYWHERE, relayed.relay, source_type="memory", source_url="memory")
        with closing(served) as server, closing(flight.connect(f"grpc://{server.address}")) as client:
            chunks = list(client.do_get(ticket(start_ledger=100, end_ledger=102)))
    sent = [chunk.data.column("ledger_close_meta_xdr").to_pylist() for chunk in chunks]
    assert sent == [[one] for one in large]


def test_small_ledgers_are_sent_together(flown: flight.FlightClient) -> None:
    chunks = list(flown.do_get(ticket(start_ledger=100, end_ledger=139)))
    assert sum(chunk.data.num_rows for chunk in chunks) == 40
    assert len(chunks) < 40
