"""Contracts' tables by the interface of their time, out of ledgers of the public network."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pyarrow as pa
import pytest

import stellarrow as sa
from stellarrow.core.contract import describe
from stellarrow.core.typed import Knowledge
from stellarrow.scanning.state import current
from tables.golden import PACKAGED

LEDGER = PACKAGED / "pubnet-58752000.xdr.zst"
KALE = "CB23WRDQWGSP6YPMY4UV5C4OW5CBTXKYN3XEATG7KJEZCXMJBYEHOUOV"
FARM = "CDL74RF5BLYR2YBLCCI7F5FB6TPSCLKEJUBSD2RSVWZ4YHF3VMFAIGWA"
CODE = Path(__file__).parent / "data" / "wasm" / "mock_sep_41_token.wasm"


def test_mints_before_protocol_23_go_to_whom_they_went_and_not_to_the_admin() -> None:
    mints = sa.typed(KALE, LEDGER, network="pubnet")["events/mint"].to_table().to_pylist()
    asset = "KALE:GBDVX4VELCDSQ54KQJYTNHXAHFLBCA77ZY2USQBM4CSHTTV7DME7KALE"
    assert len(mints) == 12
    assert {(row["admin"], row["sep0011_asset"], row["spec_status"]) for row in mints} == {
        (FARM, asset, "decoded")
    }
    for row in mints:
        assert (describe(row["topics_xdr"][2]), describe(row["data_xdr"])) == (row["to"], row["amount_text"])


def test_typed_tables_stay_readable_when_a_later_reader_of_the_same_contract_has_ended(
    tmp_path: Path,
) -> None:
    tables = sa.typed(KALE, LEDGER, network="pubnet")
    sa.run(LEDGER, tables=[f"typed:{KALE}"], sinks=f"parquet:{tmp_path}/out", network="pubnet")
    gc.collect()  # what the run made is gone
    assert tables["events/mint"].to_table().num_rows == 12


def test_a_contracts_tables_have_every_event_and_change_of_its_own() -> None:
    data = LEDGER.read_bytes()
    plain = sa.decode(data, ["contract_events", "contract_data"], network="pubnet")
    for contract in (KALE, FARM):
        expected = pytest.warns(sa.SpecUnknown) if contract == FARM else nullcontext()
        with expected:
            typed = sa.decode(data, [f"typed:{contract}"], network="pubnet")
        events = sum(rows.num_rows for name, rows in typed.items() if "/events/" in name)
        changes = [rows for name, rows in typed.items() if "/storage/" in name]
        entries = sum(rows.column("item_index").null_count for rows in changes)
        assert (events, entries) == (
            plain["contract_events"].column("contract_id").to_pylist().count(contract),
            plain["contract_data"].column("contract_id").to_pylist().count(contract),
        )


def test_scan_takes_names_of_any_case_and_conditions_in_sql() -> None:
    found = sa.scan(
        LEDGER,
        table=f"typed:{KALE}/events/Mint",
        network="pubnet",
        where="amount > 900000000",
        columns=["to", "amount"],
    ).to_table()
    assert (found.num_rows, found.schema.names) == (2, ["to", "amount"])
    assert found.schema.field("amount").type == pa.decimal128(38, 0)


def test_a_table_that_a_contract_has_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(sa.ConfigError, match=r"there is no table 'typed:.*/events/mints'.*events/mint"):
        sa.scan(LEDGER, table=f"typed:{KALE}/events/mints", network="pubnet")
    with pytest.raises(sa.ConfigError, match="neither a contract"):
        sa.typed("KALE", LEDGER, network="pubnet")


def test_filters_that_only_the_walk_knows_are_refused() -> None:
    with pytest.raises(sa.ConfigError, match="contract_ids cannot be asked of typed tables"):
        sa.decode(
            LEDGER.read_bytes(),
            [f"typed:{KALE}/events/mint"],
            network="pubnet",
            where=sa.Filter(contract_ids=[KALE]),
        )


def test_an_interface_that_is_given_is_used_and_one_without_is_told_of() -> None:
    given = sa.typed(FARM, LEDGER, network="pubnet", spec=CODE)
    assert {row["spec_status"] for row in given["storage/_other"].head(20).to_pylist()} != {"no_spec"}
    with pytest.warns(sa.SpecUnknown, match=rf"{FARM}: its code db2c1429\w+ is not in these ledgers"):
        unknown = sa.typed(FARM, LEDGER, network="pubnet")
    assert {row["spec_status"] for row in unknown["storage/_other"].head(20).to_pylist()} == {"no_spec"}


def test_what_is_extracted_keeps_its_columns_and_is_scanned_and_not_done_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    choices = {"tables": [f"typed:{KALE}/events"], "sinks": f"parquet:{out}", "network": "pubnet"}
    first, again = sa.run(LEDGER, **choices), sa.run(LEDGER, **choices)  # type: ignore[arg-type]
    assert (first.ledgers, again.skipped) == (1, 1)
    name = f"typed:{KALE}/events/burn"
    kept = sa.scan(out, table=name)
    assert kept.to_table().equals(sa.scan(LEDGER, table=name, network="pubnet").to_table())


def test_a_stored_file_of_entries_is_an_interface_too(shared: Path) -> None:
    known = Knowledge([f"typed:{KALE}"], {KALE: shared / "data/wasm/sac/stellar-asset-spec.xdr"})
    assert f"typed:{KALE}/events/SetAdmin" in known.tables().names


def test_the_state_is_the_last_of_each_key(make_lake: Callable[..., Path]) -> None:
    lake = make_lake()
    entries = sa.scan(lake, table="contract_data").to_table().to_pylist()
    contract, changes = Counter(one["contract_id"] for one in entries).most_common(1)[0]
    last = {one["ledger_key_hash"]: one for one in entries if one["contract_id"] == contract}
    tables = sa.typed(contract, lake, spec="stellar-asset")
    states = [tables[name].to_table().to_pylist() for name in tables if name.startswith("state/")]
    whole = [row for rows in states for row in rows if row["item_index"] is None]
    assert {row["ledger_key_hash"]: row["val_xdr"] for row in whole} == {
        key: one["val_xdr"] for key, one in last.items() if not one["deleted"]
    }
    assert len(whole) < changes


def test_what_was_removed_and_what_an_instance_keeps_no_more_is_not_in_the_state() -> None:
    columns = {"contract_id": pa.string(), "ledger_key_hash": pa.string(), "key_xdr": pa.string()}
    places = dict.fromkeys(("ledger_sequence", "transaction_index", "change_index"), pa.uint32())
    schema = pa.schema({**places, **columns, "durability": pa.string(), "deleted": pa.bool_()})
    rows = [
        (1, 1, 0, "C", "hash", "admin", "instance", False),
        (1, 1, 0, "C", "hash", "paused", "instance", False),
        (2, 1, 0, "C", "hash", "admin", "instance", False),
        (1, 1, 1, "C", "other", "balance", "persistent", False),
        (1, 1, 2, "C", "third", "allowance", "temporary", False),
        (2, 2, 0, "C", "third", "allowance", "temporary", True),
    ]
    batch = pa.RecordBatch.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)
    (now,) = current(schema, [batch], {"C": (2, 1, 0)})
    assert now.column("key_xdr").to_pylist() == ["admin", "balance"]
