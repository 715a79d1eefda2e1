"""Typed tables beside others in a stored place: the service leaves them out everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pyarrow import flight

import stellarrow as sa
from analytics.conftest import Serve


@pytest.fixture
def mixed(make_lake: Callable[..., Path], tmp_path: Path) -> tuple[Path, str]:
    lake, out = make_lake(100, 103), tmp_path / "mix"
    rows = sa.scan(lake, table="contract_data").to_table()
    counted = rows.group_by("contract_id").aggregate([([], "count_all")])
    contract = counted.sort_by([("count_all", "descending")]).column("contract_id")[0].as_py()
    typed = f"typed:{contract}"
    sa.run(lake, tables=["ledgers", typed], sinks=f"parquet:{out}", specs={contract: "stellar-asset"})
    return out, f"{typed}/events/transfer"


def test_every_list_has_what_is_served_and_an_order_of_a_typed_table_is_refused_at_once(
    serve: Serve, mixed: tuple[Path, str]
) -> None:
    place, typed = mixed
    assert (place / "typed").is_dir()
    served = serve(data=place)
    answer = served.get("/v1/tables")
    assert answer.status_code == 200, answer.text
    assert [one["name"] for one in answer.json()["tables"]] == ["ledgers"]
    assert [*served.get("/v1/status").json()["tables"]] == ["ledgers"]
    with flight.connect(f"grpc://{served.service.flight.address}") as client:
        told = [[one.decode() for one in info.descriptor.path] for info in client.list_flights()]
    assert ["ledgers"] in told
    assert not [path for path in told if path[0].startswith("typed:")]
    refused = served.client.post("/v1/exports", json={"format": "parquet", "table": typed})
    assert (refused.status_code, "typed tables such as" in refused.text) == (404, True), refused.text


def test_a_place_of_typed_tables_alone_is_refused_at_the_start(serve: Serve, mixed: tuple[Path, str]) -> None:
    with pytest.raises(sa.ConfigError, match="holds no table that is served"):
        serve(data=mixed[0] / "typed")
