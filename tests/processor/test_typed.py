"""Contracts' own tables in sessions and over Flight."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from sinks.test_typed_files import busiest
from stellarrow.core.typed import Knowledge
from stellarrow.core.typed_columns import own_columns
from stellarrow.ledgers import LedgerChunk
from stellarrow.pipeline.spec_cache import SpecCache
from stellarrow.pipeline.spec_following import SpecFollower
from stellarrow.processor.typed_sessions import TypedSessions
from stellarrow.scanning.spec_places import knowledge_of
from typed_specs import CONTRACT, Kind, event_of, interface, text, transfer_spec, u32

from .conftest import Service, Start

MakeLake = Callable[..., Path]


@pytest.fixture
def begin(start: Start, make_lake: MakeLake, tmp_path: Path) -> Callable[[str], tuple[Service, str]]:
    """Start a processor of a contract's events, as an interface has them."""
    lake = tmp_path / "lake"
    if not lake.exists():
        make_lake()
    contract = busiest(lake)

    def make(kind: str) -> tuple[Service, str]:
        knowing = partial(knowledge_of, spec={contract: transfer_spec(kind)}, specs=None)
        asked = [f"typed:{contract}/events"]
        typed = TypedSessions.of(asked, knowing, tmp_path / "state")
        assert typed is not None
        tables = ("contract_events", *typed.expanded(asked))
        return start(tables=tables, typed=typed), f"typed:{contract}/events/Transfer"

    return make


def transfers(lake: Path, name: str, kind: str) -> list[dict[str, Any]]:
    contract = name.removeprefix("typed:").partition("/")[0]
    scan = sa.scan(lake, table=name, specs={contract: transfer_spec(kind)}, ledgers="100:109")
    rows: list[dict[str, Any]] = scan.to_table().to_pylist()
    return rows


def test_sessions_keep_a_contracts_tables_and_flight_gives_them(
    begin: Callable[[str], tuple[Service, str]], tmp_path: Path
) -> None:
    service, name = begin("i128")
    service.finished(service.processor.start(100, 109).id)
    listed = [info.descriptor.path[0].decode() for info in service.tables.client.list_flights()]
    assert name in listed
    got = service.tables.path(name).to_pylist()
    ranged = service.tables.read(table=name, start_ledger=100, end_ledger=109)
    asked = pa.Table.from_batches(ranged.batches).to_pylist()
    columns = ["to", "amount_text"]
    chosen = pa.Table.from_batches(
        service.tables.read(table=name, columns=columns, where="amount > 0", follow=False).batches
    )
    expected = transfers(tmp_path / "lake", name, "i128")
    assert got == asked == expected
    assert [row["to"] for row in chosen.to_pylist()] == [row["to"] for row in got if row["amount"]]


def test_a_session_keeps_its_columns_and_a_later_one_has_those_that_came(
    begin: Callable[[str], tuple[Service, str]], tmp_path: Path
) -> None:
    service, name = begin("i128")
    service.finished(service.processor.start(100, 104).id)
    service.close()
    service, _ = begin("val")
    service.finished(service.processor.start(105, 109).id)
    rows = service.tables.path(name).to_pylist()
    later = [field.name for field in own_columns(sa.schema(name))][-1]
    assert later.startswith("amount_")
    assert len(rows) == len(transfers(tmp_path / "lake", name, "i128"))
    for row in rows:
        assert (row["amount_text"] is None, row[later] is None) == (
            row["ledger_sequence"] >= 105,
            row["ledger_sequence"] < 105,
        )


def test_a_table_that_no_one_keeps_is_refused_with_a_sentence(
    begin: Callable[[str], tuple[Service, str]],
) -> None:
    service, name = begin("i128")
    with pytest.raises(Exception, match=r"the columns of .*mints.* are not known here"):
        service.tables.path(name.replace("Transfer", "mints"))


def test_what_new_code_declares_beside_goes_to_other_once_columns_are_fixed() -> None:
    name = f"typed:{CONTRACT}/events"
    old = Knowledge([name], {CONTRACT: interface([Kind("u32")], 0)}).tables()
    columns = {one: sa.schema(one) for one in old.names if "/events/" in one}
    new = interface([Kind("u32"), Kind("bool")], 0) + transfer_spec("u32")
    known = Knowledge([name], {CONTRACT: new})
    known.seed(columns)
    known.freeze()
    frozen = known.tables(found_by_name=False)
    assert {one for one in frozen.names if "/events/" in one} == {*columns}
    number, flag = u32(3) + u32(7), u32(0) + u32(1)
    address = u32(18) + u32(1) + bytes(32)
    transfer = [u32(15) + text(b"transfer"), address, address]
    made = frozen.rows(CONTRACT, events=[event_of([number, flag], 0), (transfer, number)])
    (moved,) = made[f"{name}/Moved"].to_pylist()
    (other,) = made[f"{name}/_other"].to_pylist()
    assert (moved["spec_status"], moved["p0"], "p1" in moved) == ("decoded", 7, False)
    assert (other["spec_status"], other["event_name"]) == ("decoded", "transfer")
    assert frozen.schema(f"{name}/Moved").equals(columns[f"{name}/Moved"])


def test_a_follower_learns_in_order_and_remembers_what_runs(make_lake: MakeLake, tmp_path: Path) -> None:
    lake = make_lake(100, 105)
    rows = sa.scan(lake, table="contract_data").to_table().to_pylist()
    instance = next(row for row in rows if row["contract_instance_wasm_hash"])
    contract, hash = instance["contract_id"], instance["contract_instance_wasm_hash"]
    noted: list[tuple[str, int, str | None]] = []
    known = Knowledge([f"typed:{contract}"])
    follower = SpecFollower(
        known,
        sa.Network.of("synthetic"),
        cache=SpecCache(tmp_path / "specs"),
        noted=lambda *one: noted.append(one),
    )
    assert follower.tables.ran[contract] == []
    changed = [follower.learn(chunk) for chunk in _chunks(lake)]
    assert changed.count(True) >= 1
    assert noted[0][::2] == (contract, hash)
    assert noted[0][1] > instance["ledger_sequence"] - 1
    assert follower.tables.ran[contract][-1][1] == noted[-1][2]


def _chunks(lake: Path) -> list[LedgerChunk]:
    from stellarrow.sources.files import FileSource  # noqa: PLC0415

    return [*FileSource(lake).read(sa.LedgerRange(100, 105))]


def test_a_damaged_note_of_a_session_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "sessions" / "a"
    folder.mkdir(parents=True)
    (folder / "typed.json").write_text(json.dumps({"columns": {"typed:x": "!"}, "ran": []}))
    knowing = partial(knowledge_of, spec={}, specs=None)
    with pytest.raises(sa.Damaged, match=r"typed\.json is damaged .*: restore a sound copy"):
        TypedSessions.of([], knowing, tmp_path)
