"""Tables pushed over Flight: each ledger once, acknowledged when durable, a gap refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

import stellarrow as sa
from stellarrow.core.framing import frame
from stellarrow.errors import SinkUnavailable
from stellarrow.net.address import Address
from stellarrow.receiving.intake import Intake
from stellarrow.security.access import Access
from stellarrow.security.key_authenticator import KeyAuthenticator
from stellarrow.security.key_store import KeyStore
from stellarrow.servers.receiving import ReceivingServer
from stellarrow.sinks.parquet import ParquetSink
from stellarrow.spool.spool import Spool
from stellarrow.telemetry.metrics import Metrics

TABLE = "token_transfers"
NETWORK = sa.Network.of("synthetic")
ANYWHERE = Address("127.0.0.1", 0)


@pytest.fixture(scope="module")
def rows(ledgers: tuple[bytes, ...]) -> pa.RecordBatch:
    """All rows of the forty ledgers."""
    data = frame(ledgers, "record-marked")
    return sa.decode(data, [TABLE], network=NETWORK)[TABLE]


def of(rows: pa.RecordBatch, first: int, last: int) -> pa.RecordBatch:
    numbers = rows.column("ledger_sequence").to_pylist()
    kept = [at for at, ledger in enumerate(numbers) if first <= ledger <= last]
    return rows.slice(kept[0], len(kept)) if kept else rows.slice(0, 0)


class Place:
    """A folder of sinks behind a Flight that takes tables; it may be opened again and again."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.kind = kind
        self.fails: list[str] = []  # operations that fail, once each

    def sinks(self, network: sa.Network) -> Sequence[sa.Sink]:
        if self.kind == "spool":
            return [Failing(self, Spool(self.folder / "spool", [TABLE], network=network))]
        sinks = [ParquetSink(self.folder / name, [TABLE], network=network) for name in ("one", "two")]
        return [sinks[0], Failing(self, sinks[1])]

    def rows(self) -> list[dict[str, Any]]:
        if self.kind == "spool":
            with closing(Spool(self.folder / "spool", [TABLE], network=NETWORK)) as spool:
                return [row for piece in spool.read(TABLE, after=0) for row in piece.rows.to_pylist()]
        one, two = map(self._read, ("one", "two"))
        return [row for row in one if row in two]

    def _read(self, name: str) -> list[dict[str, Any]]:
        if not (self.folder / name / TABLE).exists():
            return []
        rows: list[dict[str, Any]] = pa.table(sa.scan(self.folder / name, table=TABLE)).to_pylist()
        return rows


class Failing:
    """A sink of which operations fail when they are told to."""

    def __init__(self, place: Place, sink: Any) -> None:
        self._place = place
        self._sink = sink

    def __getattr__(self, name: str) -> Any:
        if name in self._place.fails:
            self._place.fails.remove(name)
            raise SinkUnavailable(f"{name} failed: mount the disk")
        return getattr(self._sink, name)


class Client:
    """A producer by pyarrow alone."""

    def __init__(self, address: Address, *, token: str = "") -> None:
        headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
        self.options = flight.FlightCallOptions(headers=headers, timeout=60)
        self.client = flight.connect(f"grpc://{address}")

    def begin(self, schema: pa.Schema, *path: str) -> tuple[Any, Any]:
        descriptor = flight.FlightDescriptor.for_path(*(path or (TABLE,)))
        writer, answers = self.client.do_put(descriptor, schema, self.options)
        return writer, answers

    def push(self, *batches: tuple[pa.RecordBatch, int, int], **says: Any) -> list[dict[str, Any]]:
        """Push batches in one call, and return what was answered; raise how it ended."""
        writer, answers = self.begin(batches[0][0].schema)
        heard: list[dict[str, Any]] = []
        try:
            for number, (batch, first, last) in enumerate(batches):
                told = {
                    "first_ledger": first,
                    "last_ledger": last,
                    "producer": "p",
                    "sequence": number,
                    **says,
                }
                writer.write_with_metadata(batch, pa.py_buffer(json.dumps(told).encode()))
            writer.done_writing()
            while (answer := answers.read()) is not None:
                heard.append(json.loads(answer.to_pybytes()))
        finally:
            self.heard = heard
            writer.close()
        return heard


Serve = Callable[..., tuple[Place, Client]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    with ExitStack() as stack:

        def make(kind: str = "spool", *, network: sa.Network | None = NETWORK, **choices: Any) -> Any:
            place = Place(tmp_path / "kept", kind)
            intake = stack.enter_context(closing(Intake(TABLE, place.sinks, network=network)))
            server = ReceivingServer(ANYWHERE, {TABLE: intake}, interval=0.01, **choices)
            stack.callback(server.close)
            client = Client(server.address)
            stack.callback(client.client.close)
            return place, client

        yield make


@pytest.mark.parametrize("kind", ["spool", "parquet"])
def test_every_ledger_is_kept_once_and_acknowledged(serve: Serve, rows: pa.RecordBatch, kind: str) -> None:
    place, client = serve(kind)
    heard = client.push((of(rows, 100, 109), 100, 109), (of(rows, 110, 119), 110, 119))
    assert heard == [
        {"first_ledger": 100, "last_ledger": 109, "producer": "p", "sequence": 0},
        {"first_ledger": 110, "last_ledger": 119, "producer": "p", "sequence": 1},
    ]
    again = client.push((of(rows, 105, 114), 105, 114), (of(rows, 115, 139), 115, 139))
    assert [one["last_ledger"] for one in again] == [114, 139]
    assert place.rows() == rows.to_pylist()


def test_a_gap_is_refused_naming_what_is_expected(serve: Serve, rows: pa.RecordBatch) -> None:
    place, client = serve()
    with pytest.raises(pa.ArrowInvalid, match="leaves a gap: ledger 110 is expected next"):
        client.push((of(rows, 100, 109), 100, 109), (of(rows, 115, 119), 115, 119))
    assert [one.get("last_ledger") for one in client.heard] == [109, None]
    assert client.heard[1]["expected"] == 110
    assert place.rows() == of(rows, 100, 109).to_pylist()


def test_a_producer_says_where_it_begins_and_what_it_never_will_have(
    serve: Serve, rows: pa.RecordBatch
) -> None:
    place, client = serve()
    with pytest.raises(pa.ArrowInvalid, match="ledger 100 is expected"):
        client.push((of(rows, 110, 114), 110, 114), begins=100)
    client.push((of(rows, 120, 124), 120, 124), begins=120)
    client.push(
        (of(rows, 100, 104), 100, 104), (of(rows, 107, 109), 107, 109), begins=100, left_out="105:106"
    )
    with pytest.raises(pa.ArrowInvalid, match="ledger 105 is expected"):
        client.push((of(rows, 112, 114), 112, 114), begins=100)
    client.push((of(rows, 105, 106), 105, 106), begins=105)  # they could be read later after all
    kept = [row["ledger_sequence"] for row in place.rows()]
    assert set(kept) == {*range(100, 110), *range(120, 125)}
    assert len(kept) == sum(row["ledger_sequence"] in kept for row in rows.to_pylist())


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ({"producer": ""}, "needs a producer"),
        ({"first_ledger": 0}, "name first_ledger and last_ledger"),
        ({"first_ledger": 120}, "says ledgers 120 to 109"),
        ({"first_ledger": 105}, "said to be of ledgers 105 to 109, and has rows of"),
        ({"sequence": -1}, "sequence is -1: it must be a whole number from 0"),
        ({"sequense": 5}, "'sequense': did you mean 'sequence'"),
        ({"left_out": "x"}, "'x'"),
        ({"network": "Test SDF Network ; September 2015"}, "the rows are of testnet, and those here of"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(
    serve: Serve, rows: pa.RecordBatch, says: dict[str, Any], told: str
) -> None:
    place, client = serve()
    with pytest.raises((pa.ArrowInvalid, flight.FlightError), match=told):
        client.push((of(rows, 100, 109), 100, 109), **says)
    assert place.rows() == []


def test_rows_out_of_order_are_refused(serve: Serve, rows: pa.RecordBatch) -> None:
    _, client = serve()
    mixed = pa.concat_batches([of(rows, 105, 109), of(rows, 100, 104)])
    with pytest.raises(pa.ArrowInvalid, match="not in the order of their ledgers"):
        client.push((mixed, 100, 109))


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (("ledgers",), "'ledgers@1.0' is not taken here: choose among token_transfers@1.0"),
        (("token_transfers", "9.9"), "there is no table"),
        (("a", "b", "c"), "push to a path"),
    ],
)
def test_another_table_is_refused(serve: Serve, rows: pa.RecordBatch, path: Sequence[str], told: str) -> None:
    _, client = serve()
    writer, _ = client.begin(rows.schema, *path)
    writer.done_writing()
    with pytest.raises(pa.ArrowInvalid, match=told):
        writer.close()


def test_other_columns_are_refused(serve: Serve, rows: pa.RecordBatch) -> None:
    _, client = serve()
    for wrong in (rows.drop_columns(["amount_raw"]), rows.append_column("more", rows.column("from"))):
        with pytest.raises(pa.ArrowInvalid, match="push its schema"):
            client.push((wrong, 100, 139))


def test_what_was_not_durable_is_not_acknowledged_and_is_taken_again(
    serve: Serve, rows: pa.RecordBatch
) -> None:
    for kind in ("spool", "parquet"):
        place, client = serve(kind)
        for failing in ("write", "commit", "coverage"):
            place.fails = [failing]
            with pytest.raises((pa.ArrowException, flight.FlightError), match=f"{failing} failed"):
                client.push(*((of(rows, at, at + 4), at, at + 4) for at in range(100, 140, 5)))
            acknowledged = [one["last_ledger"] for one in client.heard if "error" not in one]
            last = max(acknowledged, default=0)
            if kind == "parquet":  # a spool is read by who has it open alone
                assert place.rows()[: of(rows, 100, last).num_rows] == of(rows, 100, last).to_pylist()
        heard = client.push(*((of(rows, at, at + 4), at, at + 4) for at in range(100, 140, 5)))
        assert [one["last_ledger"] for one in heard] == list(range(104, 140, 5))
        assert place.rows() == rows.to_pylist()


def test_producers_that_push_the_same_at_once_leave_each_ledger_once(
    serve: Serve, rows: pa.RecordBatch
) -> None:
    place, client = serve()
    batches = [(of(rows, at, at), at, at) for at in range(100, 140)]
    failed: list[Exception] = []

    def push() -> None:
        try:
            client.push(*batches, begins=100)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=push) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert place.rows() == rows.to_pylist()


def test_the_first_batch_tells_the_network_where_none_is_set(serve: Serve, rows: pa.RecordBatch) -> None:
    place, client = serve(network=None)
    with pytest.raises(pa.ArrowInvalid, match="does not tell its network"):
        client.push((of(rows, 100, 109), 100, 109))
    client.push((of(rows, 100, 109), 100, 109), network=NETWORK.passphrase)
    with pytest.raises((pa.ArrowException, flight.FlightError), match="are of testnet"):
        client.push((of(rows, 110, 119), 110, 119), network="Test SDF Network ; September 2015")
    assert place.rows() == of(rows, 100, 109).to_pylist()


def test_it_tells_what_it_takes_and_how_far_it_is(serve: Serve, rows: pa.RecordBatch) -> None:
    _, client = serve()
    client.push((of(rows, 100, 109), 100, 109))
    (info,) = client.client.list_flights()
    assert info.schema == sa.schema(TABLE)
    assert json.loads(info.app_metadata) == {"ledgers": "100:109"}
    with pytest.raises(pa.ArrowInvalid, match="takes tables and gives none"):
        client.client.do_get(flight.Ticket(b"{}")).read_all()


def test_pushing_needs_the_permission_to_write(serve: Serve, rows: pa.RecordBatch, tmp_path: Path) -> None:
    with closing(KeyStore(tmp_path / "keys.sqlite3")) as keys:
        access = Access([KeyAuthenticator(keys, Metrics())])
        place, client = serve(access=access)
        tokens = {role: keys.create(role, [role], created_by="test")[1] for role in ("reader", "processor")}
        with pytest.raises(flight.FlightUnauthenticatedError):
            client.push((of(rows, 100, 109), 100, 109))
        client.options = flight.FlightCallOptions(
            headers=[(b"authorization", f"Bearer {tokens['reader']}".encode())]
        )
        with pytest.raises(flight.FlightUnauthorizedError, match="WriteLedgers"):
            client.push((of(rows, 100, 109), 100, 109))
        client.options = flight.FlightCallOptions(
            headers=[(b"authorization", f"Bearer {tokens['processor']}".encode())]
        )
        assert len(client.push((of(rows, 100, 109), 100, 109))) == 1
        assert place.rows() == of(rows, 100, 109).to_pylist()


def test_a_server_that_stops_tells_who_waits(serve: Serve, rows: pa.RecordBatch) -> None:
    stopping = threading.Event()
    _, client = serve(stopping=stopping)
    writer, answers = client.begin(rows.schema)
    told = {"first_ledger": 100, "last_ledger": 109, "producer": "p", "sequence": 0}
    writer.write_with_metadata(of(rows, 100, 109), pa.py_buffer(json.dumps(told).encode()))
    assert json.loads(answers.read().to_pybytes())["last_ledger"] == 109
    stopping.set()
    assert "is stopping" in json.loads(answers.read().to_pybytes())["error"]
    writer.done_writing()
    with pytest.raises(flight.FlightUnavailableError, match="is stopping"):
        writer.close()
