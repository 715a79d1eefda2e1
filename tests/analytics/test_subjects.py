"""Accounts, assets and contracts over REST say what DuckDB says of the same files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analytics.conftest import Serve, Served

PLACE = "(ledger_sequence, transaction_index, change_index)"
Oracle = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def served(serve: Serve, real_data: Path) -> Served:
    return serve(data=real_data)


def test_balances_of_an_account_are_sums_of_its_transfers(served: Served, oracle: Oracle) -> None:
    ((account,),) = oracle(
        """select "to" from token_transfers where "to" is not null
        group by 1 having count(distinct contract_id) > 1 order by count(*) desc, 1 limit 1"""
    )
    found = served.rows(f"/v1/accounts/{account}/balances", limit=2)
    known = oracle(f"""
        select contract_id, sum(case when "to" = '{account}' then amount_raw else 0 end)::varchar,
            sum(case when "from" = '{account}' then amount_raw else 0 end)::varchar, count(*)
        from token_transfers where '{account}' in ("from", "to") group by 1 order by 1""")
    assert [(row["contract_id"], row["received"], row["sent"], row["transfers"]) for row in found] == known
    assert all(int(row["net"]) == int(row["received"]) - int(row["sent"]) for row in found)


def test_an_account_has_its_transfers_the_newest_first(served: Served, oracle: Oracle) -> None:
    ((account, count),) = oracle(
        """select "to", count(*) from token_transfers where "to" is not null
        group by 1 order by 2 desc, 1 limit 1"""
    )
    found = served.rows(f"/v1/accounts/{account}/transfers", event_types="transfer,mint,burn,fee")
    places = [(row["ledger_sequence"], row["event_index"]) for row in found]
    assert len(found) >= count
    assert places == sorted(places, reverse=True)


def test_assets_are_ranked_by_their_transfers(served: Served, oracle: Oracle) -> None:
    found = served.rows("/v1/assets", limit=7)
    known = oracle("""
        select contract_id, (count(*) filter (event_type = 'transfer')),
            coalesce(sum(amount_raw) filter (event_type = 'transfer'), 0)::varchar
        from token_transfers group by 1 order by 2 desc, 1""")
    assert [(row["contract_id"], row["transfers"], row["volume"]) for row in found] == known


def test_volume_is_summed_window_by_window(served: Served, oracle: Oracle) -> None:
    found = served.rows("/v1/assets/native/volume", window="24h")
    known = oracle("""
        select strftime(date_trunc('day', closed_at), '%Y-%m-%dT00:00:00Z'), sum(amount_raw)::varchar
        from token_transfers where asset_type = 'native' and event_type = 'transfer' group by 1 order by 1""")
    assert [(row["window_start"], row["volume"]) for row in found] == known


def test_holders_are_those_of_the_contracts_storage(served: Served, oracle: Oracle) -> None:
    ((contract,),) = oracle(
        """select contract_id from contract_data where balance is not null
        group by 1 order by count(*) desc, 1 limit 1"""
    )
    found = served.rows(f"/v1/assets/{contract}/holders", limit=1)
    known = oracle(f"""
        select balance_holder, arg_max(balance_text, {PLACE}) as held
        from contract_data where contract_id = '{contract}' and balance_holder is not null
        group by 1 having not arg_max(deleted, {PLACE}) and held <> '0'
        order by held::hugeint desc, 1""")
    assert [(row["account"], row["balance"]) for row in found] == known


def test_a_contract_has_the_latest_state_of_each_entry_in_words(served: Served, oracle: Oracle) -> None:
    ((contract,),) = oracle(
        "select contract_id from contract_data group by 1 order by count(*) desc, 1 limit 1"
    )
    found = served.rows(f"/v1/contracts/{contract}/storage", limit=3)
    known = oracle(f"""
        select ledger_key_hash from contract_data where contract_id = '{contract}' group by 1
        having not arg_max(deleted, {PLACE}) order by 1""")
    assert [(row["ledger_key_hash"],) for row in found] == known
    assert all(row["key"] and row["value"] for row in found)
    told = served.get(f"/v1/contracts/{contract}").json()
    assert (told["contract_id"], told["entries"]) == (contract, len(known))


def test_a_contract_has_its_events(served: Served, oracle: Oracle) -> None:
    ((contract, count),) = oracle(
        "select contract_id, count(*) from contract_events group by 1 order by 2 desc, 1 limit 1"
    )
    assert len(served.rows(f"/v1/contracts/{contract}/events", limit=2)) == count


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/accounts/G1/transfers", 400),
        ("/v1/assets/nothing", 400),
        ("/v1/assets/CODE:GAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAWHF", 404),
        ("/v1/assets/native/volume?window=2h", 400),
        ("/v1/contracts/CAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAD2KM", 404),
        ("/v1/contracts/CAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAD2KM/interface", 404),
        ("/v1/assets?cursor=abc", 400),
    ],
)
def test_what_is_not_there_is_told_from_what_cannot_be(served: Served, path: str, status: int) -> None:
    answer = served.get(path)
    assert (answer.status_code, answer.json()["status"]) == (status, status), answer.text


def test_a_cursor_of_another_summary_is_refused(served: Served) -> None:
    cursor = served.get("/v1/assets", limit=1).json()["next_cursor"]
    answer = served.get("/v1/assets", limit=1, cursor=cursor, start=53312000)
    assert (answer.status_code, answer.json()["field"]) == (400, "cursor")


def test_the_document_names_every_path_and_the_reference_asks_no_other_host(served: Served) -> None:
    document = served.get("/openapi.json").json()
    offered = {call.partition(" ")[2] for call in served.service.rest.calls}
    assert {
        path
        for path in offered
        if path.startswith("/v1/") and "admin" not in path and "tickets" not in path and path != "/v1/ws"
    } == {*document["paths"]}
    page = served.get("/docs")
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "<script" not in page.text
    assert "unsafe" not in page.headers["content-security-policy"]
    assert all(path in page.text for path in document["paths"])
