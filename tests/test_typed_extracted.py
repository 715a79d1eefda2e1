"""Contracts' own tables out of what was extracted, and out of nothing else there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import stellarrow as sa
from sinks.test_typed_files import busiest
from tables.golden import PACKAGED
from typed_specs import CONTRACT, transfer_spec

LEDGER = PACKAGED / "pubnet-58752000.xdr.zst"
KALE = "CB23WRDQWGSP6YPMY4UV5C4OW5CBTXKYN3XEATG7KJEZCXMJBYEHOUOV"


@pytest.mark.parametrize("format", ["parquet", "jsonl", "csv"])
def test_a_folder_has_the_tables_that_its_ledgers_have(
    format: str, make_lake: Callable[..., Path], tmp_path: Path
) -> None:
    lake, out = make_lake(100, 105), tmp_path / "out"
    contract = busiest(lake)
    specs = {contract: transfer_spec("i128")}
    sa.run(lake, tables=[f"typed:{contract}", "ledgers"], sinks=f"{format}:{out}", specs=specs)
    told, kept = sa.typed(contract, lake, specs=specs), sa.typed(contract, str(out))
    assert sorted(kept) == sorted(told)
    for name in told:
        assert kept[name].to_table().to_pylist() == told[name].to_table().to_pylist()
    assert kept["Events/transfer"].to_table().num_rows
    ((first, hash),) = kept.ran
    assert (first, hash) == (100, told.ran[0][1])
    part = sa.typed(contract, out, ledgers="101:102")["events/Transfer"].to_table()
    assert {*part.column("ledger_sequence").to_pylist()} <= {101, 102}
    assert sa.scan(out, table=f"typed:{contract}/events/transfer").to_table().num_rows


def test_a_folder_without_tables_of_the_contract_says_whose_it_has(tmp_path: Path) -> None:
    out = tmp_path / "out"
    sa.run(LEDGER, tables=["ledgers"], sinks=f"parquet:{out}", network="pubnet")
    with pytest.raises(
        sa.SourceError,
        match=rf"was extracted without typed:{KALE}: it has no typed tables. Extract typed:{KALE} into it",
    ):
        sa.typed(KALE, out)
    sa.run(LEDGER, tables=[f"typed:{KALE}/events"], sinks=f"parquet:{out}", network="pubnet")
    with pytest.raises(sa.SourceError, match=f"it has typed tables of {KALE}"):
        sa.typed(CONTRACT, out)
    with pytest.raises(sa.SourceError, match=r"of this contract it has events/_other, .*events/mint"):
        sa.scan(out, table=f"typed:{KALE}/events/mints")
    with pytest.raises(sa.SourceError, match=f"it has ledgers, typed tables of {KALE}$"):
        sa.scan(out, table="transactions")


def test_an_interface_is_not_taken_for_rows_that_were_made_with_another(tmp_path: Path) -> None:
    out = tmp_path / "out"
    sa.run(LEDGER, tables=[f"typed:{KALE}/events"], sinks=f"parquet:{out}", network="pubnet")
    assert sa.typed(KALE, out).ran == [(58752000, None)]
    with pytest.raises(sa.ConfigError, match="made with the interfaces known then: leave out spec"):
        sa.typed(KALE, out, spec="stellar-asset")
