"""The ready-made queries, asked of real ledgers and of what was extracted from them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from stellarrow.cli import invoke
from stellarrow.sql.named import READY_MADE
from stellarrow.sql.saved_queries import queries, query

LEDGERS = Path(sa.__file__).parent / "data" / "ledgers"
NAMED = [one.name for one in READY_MADE]
Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    def answer(*arguments: object) -> list[dict[str, Any]]:
        assert invoke(["sql", *map(str, arguments), "--json"]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return answer


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("queries")
    tables = ["token_transfers", "transactions", "contract_data", "contract_events"]
    sa.run(LEDGERS, tables=tables, sinks=[f"parquet:{folder}"], network="pubnet")
    return folder


def transfers(where: str) -> list[dict[str, Any]]:
    import pyarrow as pa  # noqa: PLC0415

    scan = sa.scan(LEDGERS, table="token_transfers", network="pubnet", where=where)
    return list(pa.table(scan).to_pylist())


def test_every_query_answers_alike_in_flight_and_out_of_files(ask: Ask, extracted: Path) -> None:
    assert {one.name for one in queries()} == {
        *("successful-payments", "large-amounts", "volume-by-asset", "transactions-per-hour"),
        *("top-holders", "fees-per-day", "busiest-contracts"),
    }
    for one in queries():
        kept = ask(f"@{one.name}", "--data", extracted)
        assert kept == ask(f"@{one.name}", "--source", LEDGERS, "--network", "pubnet")
        assert kept, one.name


def test_payments_are_those_that_took_effect(ask: Ask, extracted: Path) -> None:
    kinds = "('payment', 'path_payment_strict_receive', 'path_payment_strict_send')"
    expected = transfers(f"operation_type in {kinds} and transaction_successful")
    found = ask("@successful-payments", "--data", extracted)
    assert sorted(one["amount"] for one in found) == sorted(one["amount_text"] for one in expected)


def test_large_amounts_are_sorted_and_large(ask: Ask, extracted: Path) -> None:
    amounts = [int(one["amount"]) for one in ask("@large-amounts", "--data", extracted)]
    assert amounts == sorted(amounts, reverse=True)
    assert len(amounts) == len(transfers("amount_raw >= 1000000000000"))


def test_volumes_are_exact(ask: Ask, extracted: Path) -> None:
    expected: dict[tuple[str, str | None], Decimal] = defaultdict(Decimal)
    for one in transfers("event_type = 'transfer'"):
        name = one["asset_code"] or one["asset_type"] or one["contract_id"]
        expected[name, one["asset_issuer"]] += one["amount_raw"]
    found = ask("@volume-by-asset", "--data", extracted)
    assert {(one["asset"], one["issuer"]): Decimal(one["volume"]) for one in found} == expected


def test_transactions_are_counted_by_the_hour(ask: Ask, extracted: Path) -> None:
    found = ask("@transactions-per-hour", "--data", extracted)
    assert [one["hour"][14:] for one in found] == ["00:00Z"] * 2
    assert [(one["transactions"], one["successful"], one["soroban"]) for one in found] == [
        (163, 101, 1), (249, 208, 101),
    ]  # fmt: skip


def test_holders_are_those_of_the_latest_states(ask: Ask, extracted: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415

    scan = sa.scan(LEDGERS, table="contract_data", network="pubnet", where="balance_text is not null")
    latest = {one["ledger_key_hash"]: one for one in pa.table(scan).to_pylist()}
    held = {
        (one["contract_id"], one["balance_holder"]): one["balance"]
        for one in latest.values()
        if not one["deleted"] and one["balance"]
    }
    found = ask("@top-holders", "--data", extracted)
    assert found
    for one in found:
        contract = next(
            contract for contract, holder in held
            if holder == one["holder"] and held[contract, holder] == Decimal(one["balance"])
        )  # fmt: skip
        larger = sum(balance > Decimal(one["balance"]) for (at, _), balance in held.items() if at == contract)
        assert larger < one["place"] <= 10
    per_asset = defaultdict(list)
    for contract, _ in held:
        per_asset[contract].append(contract)
    assert len(found) == sum(min(10, len(holders)) for holders in per_asset.values())


def test_fees_are_summed_by_day(ask: Ask, extracted: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415

    rows = pa.table(sa.scan(LEDGERS, table="transactions", network="pubnet")).to_pylist()
    days = defaultdict(list)
    for one in rows:
        days[f"{one['closed_at']:%Y-%m-%d}"].append(one["fee_charged"])
    found = {
        one["day"][:10]: (one["transactions"], int(one["fees"]))
        for one in ask("@fees-per-day", "--data", extracted)
    }
    assert found == {day: (len(fees), sum(fees)) for day, fees in days.items()}


def test_the_busiest_contract_emitted_most_events(ask: Ask, extracted: Path) -> None:
    counted = ask(
        "select contract_id, count(*) n from contract_events group by all order by n desc, 1",
        "--data",
        extracted,
    )
    found = ask("@busiest-contracts", "--data", extracted)
    assert [(one["contract_id"], one["events"]) for one in found] == [
        (one["contract_id"], one["n"]) for one in counted if one["contract_id"]
    ][:100]


def test_assets_are_a_table_like_any_other(ask: Ask, extracted: Path) -> None:
    assets = "select * from assets order by contract_id"
    found = ask(assets, "--data", extracted)
    assert found == ask(assets, "--source", LEDGERS, "--network", "pubnet")
    assert {one["asset_type"] for one in found} == {"native", "credit_alphanum4", "credit_alphanum12"}
    lumens = [one for one in found if one["asset_type"] == "native"]
    assert [(one["asset_code"], one["asset_issuer"]) for one in lumens] == [(None, None)]


def test_queries_are_listed_and_the_nearest_is_named(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    assert [one["name"] for one in ask("@")] == [*(one.name for one in queries()), *NAMED]
    assert all(one.description.endswith(".") and one.sql.startswith("-- ") for one in queries())
    with pytest.raises(sa.ConfigError, match=r"did you mean large-amounts\?"):
        query("large-amount")
    assert invoke(["sql", "@volume", "--source", str(LEDGERS)]) == 2
    assert "there is no query 'volume'" in capsys.readouterr().err


def test_what_is_wrong_with_ledgers_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["sql", "from ledgers", "--source", "./nowhere"]) != 0
    answer = capsys.readouterr().err
    assert "./nowhere does not exist: name a file, a folder or a glob" in answer
    assert "Traceback" not in answer
