"""Arguments of a wrong type are named in a sentence, whatever the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import stellarrow as sa
from stellarrow.core import arguments

PLACE = "/nowhere"
CONTRACT = "CDLZFC3SYJYDZT7K67VZ75HPJVIEUVNIXF47ZG2FB2RMQQVU2HHGCYSC"
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "decode": (sa.decode, {"data": b"", "tables": ["ledgers"], "network": "pubnet"}),
    "scan": (sa.scan, {"source": PLACE, "table": "ledgers"}),
    "run": (sa.run, {"source": PLACE, "tables": ["ledgers"], "sinks": ["parquet:/nowhere"]}),
    "typed": (sa.typed, {"contract": CONTRACT, "source": PLACE}),
    "analytics": (sa.analytics, {"source": PLACE, "name": "network"}),
    "backfill": (sa.backfill, {"source": PLACE, "tables": ["ledgers"], "sinks": ["parquet:/nowhere"]}),
    "subscribe": (sa.subscribe, {"url": "ws://127.0.0.1:1", "table": "ledgers"}),
    "schema": (sa.schema, {"name": "ledgers"}),
    "synth": (sa.synth, {}),
}
WRONG = [
    *[
        (call, "source", wrong)
        for call in ("scan", "run", "typed", "analytics", "backfill")
        for wrong in (7, b"x")
    ],
    *[(call, "filter", 7) for call in ("decode", "scan", "run")],
    *[(call, "tables", None) for call in ("decode", "run", "backfill")],
    *[("decode", name, wrong) for name in ("framing", "transfers") for wrong in (None, "\udcff")],
    *[("subscribe", name, 7) for name in ("url", "table", "contract_ids", "columns")],
    *[
        ("scan", "table", None),
        ("scan", "projection", 7),
        ("run", "budget_mb", None),
        ("synth", "network", None),
    ],
    *[("schema", "name", 7), ("schema", "decoded", 7), ("analytics", "name", None), ("typed", "specs", 7)],
]


@pytest.mark.parametrize(("call", "name", "wrong"), WRONG)
def test_an_argument_of_a_wrong_type_is_named(call: str, name: str, wrong: object) -> None:
    function, sound = CALLS[call]
    with pytest.raises(sa.ConfigError) as refused:
        function(**{**sound, name: wrong})
    assert name in str(refused.value)


@pytest.mark.parametrize("value", [np.int64(2), np.uint8(2), np.array(2)], ids=repr)
def test_a_whole_number_of_another_library_is_one(value: Any) -> None:
    assert sa.LedgerRange(value, value) == sa.LedgerRange(2, 2)
    assert type(sa.LedgerRange(0, value).last) is int
    assert sa.synth(value, seed=value) == sa.synth(2, seed=2)
    assert arguments.number("rows", value, least=0) == arguments.workers_of(value) == 2


@pytest.mark.parametrize("value", [True, 2.0, np.float64(2), np.True_, "2", None, np.array([2, 3])], ids=repr)
def test_what_is_no_whole_number_is_no_ledger(value: Any) -> None:
    with pytest.raises(sa.ConfigError, match="is no ledger: give a whole number"):
        sa.LedgerRange(value)
