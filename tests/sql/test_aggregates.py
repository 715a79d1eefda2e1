"""Figures of groups of rows, beside Python's integers and DuckDB."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import stellarrow as sa
from stellarrow.sql import windows
from stellarrow.sql.aggregation import aggregation
from stellarrow.sql.aggregator import Aggregator
from stellarrow.sql.groups import Limits

LEDGERS = Path(sa.__file__).parent / "data" / "ledgers"
TOP, BOTTOM = 2**127 - 1, -(2**127)  # the ends of i128, of 39 digits
TRANSFERS = sa.schema("token_transfers")
CLOSED = datetime(2024, 7, 1, 12, tzinfo=UTC)
ISSUER = "G" + "A" * 55


def transfer(number: int, amount: int, **other: Any) -> dict[str, Any]:
    """Return a row of token_transfers; what is not named is the same in all."""
    fits = abs(amount) < 10**38
    return {
        "ledger_sequence": 100 + number,
        "closed_at": CLOSED + timedelta(seconds=5 * number),
        "transaction_index": 1,
        "transaction_hash": f"{number:064x}",
        "transaction_successful": True,
        "event_index": 0,
        "event_type": "transfer",
        "operation_type": "payment",
        "contract_id": "C" + "B" * 55,
        "amount_raw": Decimal(amount) if fits else None,
        "amount_text": str(amount),
        **other,
    }


def batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, TRANSFERS)


def asked(text: str, rows: pa.Table | list[dict[str, Any]], window: str = "", **limits: int) -> pa.Table:
    """Aggregate rows that come in batches of every size."""
    whole = rows if isinstance(rows, pa.Table) else pa.Table.from_batches([batch(rows)])
    made = Aggregator(
        aggregation("token_transfers", TRANSFERS, TRANSFERS, text), window, limits=Limits(**limits)
    )
    for part in pieces(whole):
        made.add(part)
    return made.answer()


def pieces(rows: pa.Table) -> Iterator[pa.RecordBatch]:
    dice = random.Random(7)  # noqa: S311  dice, no secret
    at = 0
    while at < len(rows):
        size = dice.choice((1, 2, 100, 20_000))
        yield from rows.slice(at, size).combine_chunks().to_batches()
        at += size


@pytest.fixture(scope="module")
def transfers() -> pa.Table:
    return sa.scan(LEDGERS, table="token_transfers", network="pubnet").to_table()


@pytest.mark.parametrize("extreme", [TOP, BOTTOM])
def test_a_sum_of_the_largest_amounts_is_exact_text_and_null_as_a_number(extreme: int) -> None:
    rows = [transfer(at, extreme) for at in range(1_000)]
    (row,) = asked("sum(amount_raw) as volume", rows).to_pylist()
    assert row == {"volume": None, "volume_text": str(1_000 * extreme)}


def test_a_sum_through_numbers_that_no_column_holds_is_a_number_again() -> None:
    rows = [transfer(at, (TOP, BOTTOM)[at % 2]) for at in range(2_000)]
    (row,) = asked("sum(amount_raw) as volume", rows).to_pylist()
    assert row == {"volume": Decimal(-1_000), "volume_text": "-1000"}


def test_the_last_number_of_38_digits_is_one_and_the_next_is_text() -> None:
    most = 10**38 - 1
    for amounts, number in (([most], Decimal(most)), ([most, 1], None), ([-most, -1], None)):
        rows = [transfer(at, amount) for at, amount in enumerate(amounts)]
        (row,) = asked("sum(amount_raw) as volume", rows).to_pylist()
        assert row == {"volume": number, "volume_text": str(sum(amounts))}


def test_sums_of_random_amounts_are_those_of_pythons_integers() -> None:
    dice = random.Random(3)  # noqa: S311  dice, no secret
    rows: list[dict[str, Any]] = []
    expected: dict[str | None, int] = defaultdict(int)
    for at in range(20_000):
        amount = dice.choice((TOP, BOTTOM, 0, 1, -1, dice.randint(BOTTOM, TOP), dice.randint(-999, 999)))
        code = dice.choice(("A", "B", None))
        rows.append(transfer(at, amount, asset_code=code))
        expected[code] += amount
    found = asked("sum(amount_raw) as volume by asset_code", rows).to_pylist()
    assert {row["asset_code"]: int(row["volume_text"]) for row in found} == expected


def test_the_least_and_the_most_have_all_39_digits() -> None:
    rows = [transfer(at, amount) for at, amount in enumerate((7, BOTTOM, TOP))]
    (row,) = asked("min(amount_raw) as least, max(amount_raw) as most", rows).to_pylist()
    assert (row["least"], row["least_text"], row["most_text"]) == (None, str(BOTTOM), str(TOP))


def test_a_fraction_is_written_in_digits_however_small() -> None:
    rows = [transfer(1, 1), transfer(2, 2)]
    (row,) = asked("sum(amount_raw / 10000000) as lumens", rows).to_pylist()
    assert Decimal(row["lumens_text"]) == Decimal("0.0000003")
    assert "E" not in row["lumens_text"]


@pytest.mark.parametrize(
    ("text", "select", "groups"),
    [
        ("sum(amount_raw) as n by event_type", "sum(amount_raw) as n", "event_type"),
        ("count(*) as n by contract_id", "count(*) as n", "contract_id"),
        ("count(operation_index) as n by event_type", "count(operation_index) as n", "event_type"),
        (
            'count(distinct "from") as n by asset_code, event_type',
            'count(distinct "from") as n',
            "asset_code, event_type",
        ),
        (
            "count(*) filter (where amount_raw > 10000000) as n by operation_type",
            "count(*) filter (where amount_raw > 10000000) as n",
            "operation_type",
        ),
        (
            "sum(amount_raw) filter (where transaction_successful) as n by event_type",
            "sum(amount_raw) filter (where transaction_successful) as n",
            "event_type",
        ),
        ("max(closed_at) as n by event_type", "max(closed_at) as n", "event_type"),
        ("min(asset_code) as n by event_type", "min(asset_code) as n", "event_type"),
        ("sum(event_index) as n group by event_type", "sum(event_index) as n", "event_type"),
        (
            "count(distinct amount_raw % 7) as n by event_type",
            "count(distinct amount_raw % 7) as n",
            "event_type",
        ),
    ],
)
def test_figures_equal_duckdbs(transfers: pa.Table, text: str, select: str, groups: str) -> None:
    if "%" in text:
        text, select = (one.replace("amount_raw % 7", "event_index % 7") for one in (text, select))
    answer = duckdb.sql(f"select {groups}, {select} from transfers group by all")
    assert answer
    expected = answer.to_arrow_table()
    found = asked(text, transfers)
    keys = [*(name.strip() for name in groups.split(",")), "n"]
    assert ordered(found.select(keys)) == ordered(expected.select(keys))


def ordered(rows: pa.Table) -> list[tuple[str, ...]]:
    return sorted(
        tuple(str(int(value)) if isinstance(value, Decimal) else str(value) for value in row.values())
        for row in rows.to_pylist()
    )


def test_no_rows_are_no_groups_and_one_figure() -> None:
    assert asked("count(*) as n, sum(amount_raw) as volume", []).to_pylist() == [
        {"n": 0, "volume": None, "volume_text": None}
    ]
    assert asked("count(*) as n by asset", []).to_pylist() == []
    assert asked("count(*) as n", [], "1h").to_pylist() == []


def test_groups_without_a_distinct_value_count_none() -> None:
    rows = [transfer(1, 1, asset_code="A"), transfer(2, 1, asset_code="B", to="G")]
    found = asked('count(distinct "to") as n by asset_code', rows).to_pylist()
    assert found == [{"asset_code": "A", "n": 0}, {"asset_code": "B", "n": 1}]


@pytest.mark.parametrize("window", windows.NAMES)
def test_windows_begin_where_datetimes_say(window: str) -> None:
    dice = random.Random(5)  # noqa: S311  dice, no secret
    seconds = sorted(dice.randint(0, 40 * 86_400) for _ in range(500))
    rows = [transfer(at, 1, closed_at=CLOSED + timedelta(seconds=one)) for at, one in enumerate(seconds)]
    monday = datetime(2024, 7, 1, tzinfo=UTC)
    length = windows.length(window)
    expected: dict[datetime, int] = defaultdict(int)
    for row in rows:
        expected[monday + (row["closed_at"] - monday) // length * length] += 1
    found = asked("count(*) as n", rows, window).to_pylist()
    assert {row["window_start"]: row["n"] for row in found} == expected
    assert [row["window_start"] for row in found] == sorted(expected)


def test_the_schema_is_known_before_there_are_rows(transfers: pa.Table) -> None:
    text = "sum(amount_raw) as volume, count(distinct asset_code), min(closed_at) as n by asset, event_type"
    meant = aggregation("token_transfers", TRANSFERS, TRANSFERS, text)
    for window in ("", "1h"):
        assert asked(text, transfers, window).schema.equals(meant.schema(window))


@pytest.mark.parametrize("window", ["", "1m"])
def test_transactions_in_order_are_counted_without_keeping_them(window: str) -> None:
    dice = random.Random(9)  # noqa: S311  dice, no secret
    rows = []
    for ledger in range(400):
        for index in range(dice.randint(0, 60)):
            rows += [
                transfer(ledger, 1, transaction_hash=f"{ledger}-{index}", asset_code=dice.choice("AB"))
                for _ in range(dice.randint(1, 3))
            ]
    text = "count(distinct transaction_hash) as n, count(*) as rows by asset_code"
    meant = aggregation("token_transfers", TRANSFERS, TRANSFERS, text)
    made = Aggregator(meant, window, limits=Limits(groups=500), in_order=True)
    whole = pa.Table.from_batches([batch(rows)])
    for part in pieces(whole):
        made.add(part)
    assert made.answer().equals(asked(text, whole, window))
    with pytest.raises(sa.ConfigError, match="makes more than 500 groups"):
        asked(text, whole, window, groups=500)


def test_more_groups_than_the_bound_are_an_error_that_says_what_to_do() -> None:
    rows = [transfer(at, at) for at in range(300)]
    for text in ("count(*) by amount_text", "count(distinct amount_text) as n"):
        assert len(asked(text, rows, groups=300)) > 0
        with pytest.raises(sa.ConfigError, match=r"makes more than 299 groups .* add a filter"):
            asked(text, rows, groups=299)


def test_long_keys_are_bounded_by_their_bytes() -> None:
    rows = [transfer(at, at, operation_type=f"{at}" * 1_000) for at in range(100, 500)]
    with pytest.raises(sa.ConfigError, match="or 0 MB, which is the most"):
        asked("count(*) by operation_type", rows, size_bytes=1 << 19)


def test_windows_that_ended_are_taken_and_forgotten() -> None:
    meant = aggregation(
        "token_transfers", TRANSFERS, TRANSFERS, "count(*) as n, count(distinct asset_code) as d"
    )
    made = Aggregator(meant, "1h")
    minutes = [transfer(at, 1, closed_at=CLOSED + timedelta(minutes=at), asset_code="A") for at in range(130)]
    made.add(batch(minutes))
    ended = made.take_before(CLOSED + timedelta(hours=2)).to_pylist()
    assert [(row["n"], row["d"]) for row in ended] == [(60, 1), (60, 1)]
    assert [(row["n"], row["d"]) for row in made.answer().to_pylist()] == [(10, 1)]
    assert len(made.take_before(CLOSED + timedelta(hours=2))) == 0


def test_values_that_cannot_be_summed_are_told_with_their_ledgers() -> None:
    rows = [transfer(5, TOP, asset_code="x")]
    with pytest.raises(sa.ConfigError, match="ledgers 105 to 105 have values that the aggregate cannot take"):
        asked("sum(asset_code::bigint) as n", rows)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (" ", "its expression is empty"),
        ("sum(amount_raw", "is no SQL expression"),
        ("avg(amount_raw) as x", "a mean is not exact, so ask for sum and count"),
        ("sum(amont_raw)", "did you mean 'amount_raw'"),
        ("sum(asset_code)", "it is string: sum a number"),
        ("sum(amount_raw::double) as x", "cast it to a decimal, which is exact"),
        ("count()", r"count\(\*\) counts rows"),
        ("count(*) by", "nothing stands behind BY"),
        ("count(*) by amount_raw", "group by its text"),
        ("count(*) over ()", "is no aggregate that is known"),
        ("asset", "is no aggregate that is known"),
        ("count(*) as x, max(closed_at) as X", "two columns of the answer are called 'x'"),
        ("count(*) as n by closed_at as window_start", "called 'window_start'"),
        ("count(*) as n by transaction_index % 2", "has no name"),
        ("sum(transaction_index % 2)", "has no name"),
        ("sum(distinct amount_raw)", "DISTINCT stands in count"),
        ("count(*) filter (where asset)", "must be true or false"),
        ("count(*); drop table x", "more than one statement"),
        ("count(*) by asset from x", "more than columns"),
        ("count(*), (select 1)", "is no aggregate that is known"),
        ("sum(" + "(" * 100 + "1" + ")" * 100 + ")", "nests too deep"),
        ("count(*) by " + "lower(" * 100 + "asset" + ")" * 100, "nests too deep"),
        ("count(*)" + " " * 600_000, "600,008 characters"),
        (", ".join(f"count(*) as a{at}" for at in range(20_000)), "words: write it shorter"),
        ("sum(" + "amount_raw * " * 3 + "1) as x", "cannot be computed"),
        ("sum(1" + "0" * 90 + ") as x", "76 digits at most"),
        ("count(*) by 'x\x00' as n, 'open", "is a quote open"),
    ],
)
def test_what_cannot_be_meant_is_a_sentence(text: str, told: str) -> None:
    with pytest.raises(sa.ConfigError, match=told):
        sa.NamedQuery(name="q", table="token_transfers", kind="aggregate", expression=text).aggregation(
            TRANSFERS, TRANSFERS
        )
