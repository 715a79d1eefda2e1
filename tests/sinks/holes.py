"""Places with ledgers 100 to 119 and 130 to 139: every way to read all of them tells of the hole."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

import stellarrow as sa


def hole_told(table: str) -> AbstractContextManager[Any]:
    """Expect the warning of the hole; nothing else may be warned of."""
    said = rf"^ledgers 120 to 129 of {table} are not here: extract what is missing from a source$"
    return pytest.warns(sa.LedgersUnextracted, match=said)


def assert_told(place: str, stellarrow: Callable[..., Any]) -> None:
    """Check the ways to read a place that has `ledgers` and `contract_data`."""
    with hole_told("contract_data"):
        sa.scan(place, table="contract_data")
    with hole_told("contract_data"):
        sa.analytics(place, "storage")
    with hole_told("ledgers"):
        assert sa.aggregate(place, "count(*) as n", table="ledgers").to_pylist() == [{"n": 30}]
    for behind in (sa.LedgerRange(130), "130:", "100:119"):
        assert sa.scan(place, table="ledgers", ledgers=behind).head(1).num_rows  # a warning would be an error
    assert not sa.scan(place, table="ledgers", start=140).head(1).num_rows  # what comes next: as above
    with pytest.warns(sa.LedgersUnextracted, match="nothing from ledger 150 on: the last ledger here is 139"):
        assert not sa.scan(place, table="ledgers", start=150).head(1).num_rows
    for asked in ({"start": 110, "end": 135}, {"start": 105}):
        with pytest.raises(sa.LedgerMissing, match="but not 120:129"):
            sa.scan(place, table="ledgers", **asked)  # type: ignore[arg-type]
    done = stellarrow("sql", "select count(*) as n from ledgers", "--data", place, "--csv")
    assert (done.code, done.out.split()) == (0, ["n", "30"])
    assert done.err.startswith("warning: ledgers 120 to 129 of ledgers are not here: ")
