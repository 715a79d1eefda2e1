"""Figures in memory, against the same SQL over the rows they were made of."""

from __future__ import annotations

import random
import threading
from itertools import islice
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from stellarrow.analysis.summary import summary_of
from stellarrow.analysis.windows import TABLES, WINDOWS, Analytics
from stellarrow.core.decode import Decoder
from stellarrow.core.synthetic import synthetic

duckdb = pytest.importorskip("duckdb")

TRUNCATED = {
    "1m": "date_trunc('minute', closed_at)",
    "5m": "time_bucket(interval 5 minutes, closed_at)",
    "1h": "date_trunc('hour', closed_at)",
    "24h": "date_trunc('day', closed_at)",
    "7d": "date_trunc('week', closed_at)",
    "total": "timestamp '1970-01-01'",
}
TRANSFERS = """
select {window} as window_start, {key} as contract_id,
    count(*) filter (event_type = 'transfer') as transfers,
    count(distinct (ledger_sequence, transaction_index)) as transactions,
    coalesce(sum(amount_text::hugeint) filter (event_type = 'transfer'), 0)::hugeint::varchar as volume,
    coalesce(max(amount_text::hugeint) filter (event_type = 'transfer'), 0)::varchar as largest_transfer,
    count(distinct "from") filter (event_type = 'transfer') as senders,
    count(distinct "to") filter (event_type = 'transfer') as receivers,
    count(*) filter (event_type = 'mint') as mints,
    count(*) filter (event_type = 'burn') as burns,
    count(*) filter (event_type = 'clawback') as clawbacks,
    coalesce(sum(amount_text::hugeint) filter (event_type = 'fee' and amount_text[1] != '-'), 0)
        ::hugeint::varchar as fees_charged,
    coalesce(-sum(amount_text::hugeint) filter (event_type = 'fee' and amount_text[1] = '-'), 0)
        ::hugeint::varchar as fees_refunded
from rows group by all order by 1, 2
"""

Ledgers = list[sa.LedgerBatch]


@pytest.fixture(scope="module")
def decoded() -> Ledgers:
    """Ledgers that close every three minutes, over a Sunday's midnight."""
    decoder = Decoder(list(TABLES), network="synthetic")
    raw = list(islice(synthetic(7, first=100, ledger_bytes=30_000), 60))
    batches = [
        decoder(sa.LedgerChunk(one, "single", at, at, "made")) for at, one in enumerate(raw, start=100)
    ]
    return [_at(batch, 1_700_438_400 - 3_600 + 180 * place) for place, batch in enumerate(batches)]


def _at(batch: sa.LedgerBatch, seconds: int) -> sa.LedgerBatch:
    """The same rows, as if their ledger had closed at another time."""
    tables = {}
    for name, rows in batch.tables.items():
        times = pa.array([seconds * 1_000_000] * rows.num_rows, pa.int64())
        place = rows.schema.get_field_index("closed_at")
        tables[name] = rows.set_column(
            place, rows.schema.field("closed_at"), times.cast(rows.schema.field("closed_at").type)
        )
    return sa.LedgerBatch(batch.first, batch.last, tables, batch.run)


def fed(ledgers: Ledgers, **choices: Any) -> Analytics:
    analytics = Analytics(**choices)
    for batch in ledgers:
        feed(analytics, batch)
    return analytics


def feed(analytics: Analytics, batch: sa.LedgerBatch) -> None:
    closed = batch.tables["ledgers"]["closed_at"][-1].value // 1_000_000
    analytics.add(batch.tables, sa.LedgerRange(batch.first, batch.last), closed)


def rows_of(ledgers: Ledgers, table: str) -> pa.Table:
    return pa.Table.from_batches([batch.tables[table] for batch in ledgers])


def by_sql(ledgers: Ledgers, window: str, key: str = "null::varchar") -> list[dict[str, Any]]:
    rows = rows_of(ledgers, "token_transfers")
    place = rows.schema.get_field_index("closed_at")  # without a zone, which DuckDB needs an extension for
    rows = rows.set_column(place, "closed_at", rows["closed_at"].cast(pa.timestamp("us")))
    query = TRANSFERS.format(window=TRUNCATED[window], key=key)
    found: list[dict[str, Any]] = duckdb.sql(query).to_arrow_table().to_pylist()
    return found


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Compare what both have."""
    columns = [name for name in expected[0] if name != "contract_id"]
    for one in found:
        one["window_start"] = one["window_start"].replace(tzinfo=None)
    assert [{name: one[name] for name in columns} for one in found] == [
        {name: one[name] for name in columns} for one in expected
    ]


def test_figures_in_short_are_all_of_one_ledger_while_more_are_counted(decoded: Ledgers) -> None:
    analytics = fed(decoded[:1])

    def count() -> None:
        for batch in decoded[1:]:
            feed(analytics, batch)

    counting = threading.Thread(target=count)
    counting.start()
    try:
        while counting.is_alive():
            summary = summary_of(analytics, TABLES)
            newest = [one for windows in summary["windows"].values() for one in windows.values()]
            ledgers = {one["as_of_ledger"] for one in [*newest, *summary["assets"], *summary["contracts"]]}
            assert ledgers == {summary["last_ledger"]}
    finally:
        counting.join()


@pytest.mark.parametrize("window", WINDOWS)
def test_figures_of_all_equal_sql_at_any_ledger(decoded: Ledgers, window: str) -> None:
    for count in (1, 17, 60):
        found = fed(decoded[:count]).series("transfers", window).to_pylist()
        same(found, by_sql(decoded[:count], window))


@pytest.mark.parametrize("window", WINDOWS)
def test_figures_of_each_asset_equal_sql(decoded: Ledgers, window: str) -> None:
    analytics = fed(decoded)
    expected: dict[str, list[dict[str, Any]]] = {}
    for row in by_sql(decoded, window, "contract_id"):
        expected.setdefault(row["contract_id"], []).append(row)
    assert len(expected) >= 4
    for contract, rows in expected.items():
        same(analytics.series("transfers", window, key=contract).to_pylist(), rows)


def test_lumens_are_asked_for_by_either_name(decoded: Ledgers) -> None:
    analytics = fed(decoded)
    native = analytics.series("transfers", "total", key="native")
    assert native.num_rows == 1
    assert native == analytics.series("transfers", "total", key="XLM")
    assert native["asset"].to_pylist() == ["native"]


def test_repeated_and_late_ledgers_change_nothing(decoded: Ledgers) -> None:
    analytics = fed(decoded)
    before = analytics.series("transfers", "1m"), analytics.series("network", "1h")
    for batch in random.Random(5).sample(decoded, 20):  # noqa: S311
        feed(analytics, batch)
    assert (analytics.series("transfers", "1m"), analytics.series("network", "1h")) == before
    assert str(analytics.ledgers("transfers")) == "100:159"


def test_the_foremost_assets_are_those_of_sql(decoded: Ledgers) -> None:
    found = fed(decoded).foremost("transfers", "total", by="volume", limit=5).to_pylist()
    expected = sorted(by_sql(decoded, "total", "contract_id"), key=lambda one: -int(one["volume"]))[:5]
    assert [one["volume"] for one in found] == [one["volume"] for one in expected]


def test_contracts_are_counted_by_events_and_by_what_they_write(decoded: Ledgers) -> None:
    analytics = fed(decoded)
    events = rows_of(decoded, "contract_events")  # noqa: F841
    data = rows_of(decoded, "contract_data")  # noqa: F841
    count = "select contract_id, count(*) as n from {} group by 1 order by n desc, 1 limit 3"
    of_events = duckdb.sql(count.format("(from events where event_type = 'contract')")).fetchall()
    of_data = duckdb.sql(count.format("data")).fetchall()
    found = analytics.foremost("events", "total", limit=3).to_pylist()
    assert sorted(one["events"] for one in found) == sorted(n for _, n in of_events)
    found = analytics.foremost("storage", "total", limit=3).to_pylist()
    assert sorted(one["changes"] for one in found) == sorted(n for _, n in of_data)


def test_the_pace_of_the_network_is_known(decoded: Ledgers) -> None:
    (total,) = fed(decoded).series("network", "total").to_pylist()
    ledgers = rows_of(decoded, "ledgers")
    assert total["ledgers"] == 60
    assert total["transactions"] == sum(ledgers["transaction_count"].to_pylist())
    assert total["longest_interval_us"] == 180_000_000
    assert (total["last_closed_at"] - total["first_closed_at"]).total_seconds() == 180 * 59


@pytest.mark.parametrize("window", ["1h", "total"])
def test_a_hole_in_the_ledgers_makes_neither_interval_longer_nor_pace_slower(
    decoded: Ledgers, window: str
) -> None:
    found = fed([*decoded[:15], *decoded[45:]]).series("network", window).to_pylist()
    assert {one["mean_interval_us"] for one in found} == {180e6}
    assert [one["transactions_per_second"] for one in found] == [
        pytest.approx(one["transactions"] / one["ledgers"] / 180) for one in found
    ]


def test_an_amount_of_39_digits_is_summed_exactly(decoded: Ledgers) -> None:
    rows = decoded[0].tables["token_transfers"].slice(0, 3)
    highest = 2**127 - 1
    columns = {
        **{name: rows[name].to_pylist() for name in rows.schema.names},
        "amount_raw": [None] * 3,
        "amount_text": [str(highest)] * 3,
        "event_type": ["transfer"] * 3,
    }
    analytics = Analytics()
    made = pa.record_batch(columns, schema=rows.schema)
    analytics.add({"token_transfers": made}, sa.LedgerRange(100, 100), 1_700_000_000)
    assert analytics.series("transfers", "total")["volume"].to_pylist() == [str(3 * highest)]


def test_with_little_room_the_whole_stays_exact_and_the_rest_is_one_row(decoded: Ledgers) -> None:
    whole = fed(decoded).series("transfers", "1h")
    crowded = fed(decoded, most_keys=3)
    assert crowded.series("transfers", "1h") == whole
    ranked = crowded.foremost("transfers", "total", by="transfers", limit=100).to_pylist()
    assert len(ranked) <= 4
    assert [one["contract_id"] for one in ranked].count(None) == 1
    assert sum(one["transfers"] for one in ranked) == whole_total(decoded)


def whole_total(ledgers: Ledgers) -> int:
    (total,) = fed(ledgers).series("transfers", "total")["transfers"].to_pylist()
    return int(total)


def test_a_batch_of_another_table_is_refused_and_counts_nothing() -> None:
    analytics = Analytics()
    other = pa.record_batch({"ledger_sequence": pa.array([1], pa.uint32())})
    with pytest.raises(sa.SourceError, match="rows of token_transfers cannot be counted: the batch has no"):
        analytics.add({"token_transfers": other}, sa.LedgerRange(1, 1), 0)
    assert analytics.ledgers("transfers") is None


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (lambda one: one.series("transfer"), "there are no analytics 'transfer': did you mean transfers?"),
        (lambda one: one.series("transfers", "2h"), "window is '2h': did you mean"),
        (lambda one: one.series("network", key="native"), "is of the whole network: leave 'native' out"),
        (lambda one: one.foremost("network"), "there is nothing to rank"),
        (lambda one: one.foremost("events", by="size"), "by is 'size': it must be events, transactions"),
    ],
)
def test_what_there_is_not_is_a_sentence(asked: Any, message: str) -> None:
    with pytest.raises(sa.ConfigError, match=message.replace("?", r"\?")):
        asked(Analytics())
