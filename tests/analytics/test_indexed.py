"""Rows of accounts, assets and contracts are the same with indexes, without them, and with wrong ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import stellarrow as sa
from stellarrow.analysis.reads import layouts, matching
from stellarrow.analysis.reads.conditions import Conditions
from stellarrow.analysis.reads.hot import Hot
from stellarrow.analysis.reads.indexes import Indexes
from stellarrow.analysis.reads.layouts import Layout, Layouts
from stellarrow.analysis.reads.matching import Looked
from stellarrow.analysis.reads.paging import page, whole
from stellarrow.analysis.reads.reading import Question, Tables
from stellarrow.analysis.reads.stored import Stored
from stellarrow.sinks.files import pieces, proof, runs
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.indexing import reindex
from stellarrow.sinks.files.proof import held_files
from stellarrow.storage.local_files import LocalFiles

TABLE = "token_transfers"
PLACES = ("ledger_sequence", "event_index")


@pytest.fixture(params=["ledgers", "event_type"])
def out(
    request: pytest.FixtureRequest,
    make_lake: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Forty ledgers in files of ten, of many row groups and runs."""
    monkeypatch.setattr(Parquet, "block", 7)
    monkeypatch.setattr(runs, "SORTED", runs.Length(rows=40, text=1 << 20))
    place = f"parquet:{tmp_path / 'out'}?ledgers=10&partition={request.param}"
    sa.run(make_lake(100, 139), tables=[TABLE], sinks=[place], network="synthetic")
    return tmp_path / "out"


def opened(out: Path) -> Tables:
    return Tables([TABLE], hot=Hot([], most_bytes=1), stored=Stored(str(out)), network=None)


def answer(
    tables: Tables, *, descending: bool = False, limit: int = 0, **lists: Any
) -> list[tuple[int, int]]:
    """Return the places of the rows, streamed or page by page."""
    question = Question(table=TABLE, conditions=Conditions(**lists), columns=PLACES, descending=descending)
    snapshot = tables.snapshot(TABLE)
    if not limit:
        batches = [*whole(snapshot, question)[1]]
    else:
        made = page(snapshot, question, limit=limit)
        batches = [*made.batches]
        while made.next is not None:
            made = page(snapshot, question, limit=limit, cursor=made.next)
            batches += made.batches
    return [(row["ledger_sequence"], row["event_index"]) for rows in batches for row in rows.to_pylist()]


def asked(out: Path) -> Iterator[tuple[dict[str, Any], list[tuple[int, int]]]]:
    """Yield conditions of every account, asset and contract there is, and DuckDB's answer."""
    connection = duckdb.connect()
    connection.execute(
        f"create view t as select * from read_parquet('{out}/*/**/*.parquet', union_by_name=true)"
    )

    def ask(where: str, *values: str) -> list[tuple[int, int]]:
        rows = connection.execute(
            f"select ledger_sequence, event_index from t where {where} order by all", values
        ).fetchall()
        return [(row[0], row[1]) for row in rows]

    def values(what: str) -> list[tuple[str, ...]]:
        return connection.execute(f"select distinct {what} from t order by all").fetchall()

    for (one,) in values('unnest(["from", "to"])'):
        if one:
            yield {"accounts": (one,)}, ask('"from" = $1 or "to" = $1', one)
    for code, issuer in values("asset_code, asset_issuer"):
        if code and issuer:
            found = ask("asset_code = $1 and asset_issuer = $2", code, issuer)
            yield {"assets": (f"{code}:{issuer}",)}, found
            yield {"assets": (code, "native")}, ask("asset_code = $1 or asset_type = 'native'", code)
    for (one,) in values("contract_id"):
        yield {"contract_ids": (one,)}, ask("contract_id = $1", one)
        yield {"assets": (one,)}, ask("contract_id = $1", one)
    yield {"accounts": ("G" + "B" * 55,)}, []
    yield {"accounts": tuple(f"G{at:055}" for at in range(100))}, []


def same(out: Path, step: int) -> int:
    """Compare answers with DuckDB's; return how many rows were compared."""
    tables, count = opened(out), 0
    for at, (lists, expected) in enumerate(islice(asked(out), 0, None, step)):
        assert answer(tables, **lists) == expected, lists
        assert answer(tables, **lists, descending=True, limit=20 + at % 50) == expected[::-1], lists
        count += len(expected)
    return count


def wrong_indexes(out: Path) -> list[Path]:
    return sorted(out.glob(f"{TABLE}/_index/*.index"))


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 31])
def test_every_answer_is_duckdbs_with_indexes_without_and_with_wrong_ones(out: Path, step: int) -> None:
    held = wrong_indexes(out)
    assert len(held) == 4
    count = same(out, step)
    assert count > 20
    held[0].write_bytes(b"harm")
    held[1].write_bytes(held[2].read_bytes())
    held[3].unlink()
    assert same(out, step) == count


def test_what_the_indexes_rule_out_is_not_opened(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths: list[str] = []
    proven = proof.proven_file

    def noting(listing: Any, ledgers: Any, kept: Any) -> Any:
        paths.append(kept.path)
        return proven(listing, ledgers, kept)

    monkeypatch.setattr(pieces, "proven_file", noting)
    tables = opened(out)
    assert answer(tables, accounts=("never",), descending=True, limit=10) == []
    assert paths == []
    for path in wrong_indexes(out):
        path.unlink()
    assert answer(opened(out), accounts=("never",), descending=True, limit=10) == []
    assert len(paths) >= 4
    paths.clear()
    (listing,) = [one.listing for one in opened(out).stored.tables.values()]  # type: ignore[union-attr]
    assert reindex(listing) == 4
    paths.clear()
    assert answer(tables, accounts=("never",), limit=10) == []
    assert paths == []


def test_an_answer_over_many_files_lists_no_folder_again(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables, listed = opened(out), list[str]()
    listing = LocalFiles.list

    def noting(store: LocalFiles, folder: str, **how: Any) -> Any:
        listed.append(folder)
        return listing(store, folder, **how)

    monkeypatch.setattr(LocalFiles, "list", noting)
    assert answer(tables)
    assert answer(tables, descending=True, limit=20)
    assert answer(tables, accounts=("never",)) == []
    assert listed == []


def without_layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Layouts, "of", lambda *_: None)


def test_of_files_without_an_index_all_columns_are_read_only_where_a_row_is_meant(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in wrong_indexes(out):
        path.unlink()
    read: list[list[str]] = []
    few = Layout.few

    def noting(layout: Layout, file: Any, group: int, schema: pa.Schema, terms: Any) -> Any:
        read.append(schema.names)
        return few(layout, file, group, schema, terms)

    monkeypatch.setattr(Layout, "few", noting)
    assert answer(opened(out), accounts=("never",)) == []
    assert read
    assert all(names == ["from", "to"] for names in read)
    read.clear()
    account, expected = next((held["accounts"][0], one) for held, one in asked(out) if len(one) == 1)
    assert answer(opened(out), accounts=(account,)) == expected
    assert len([names for names in read if "event_index" in names]) == 1


def test_without_knowing_where_columns_lie_row_groups_are_decoded_only_where_a_row_is_meant(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_layouts(monkeypatch)
    for path in wrong_indexes(out):
        path.unlink()
    read: list[list[int]] = []
    of_groups = Looked._of_groups

    def noting(looked: Looked, whole: Any, wanted: Any) -> Any:
        read.append([*wanted])
        return of_groups(looked, whole, wanted)

    monkeypatch.setattr(Looked, "_of_groups", noting)
    assert answer(opened(out), accounts=("never",)) == []
    assert read
    assert not any(read)
    read.clear()
    lists, expected = next(one for one in asked(out) if len(one[1]) == 1)
    assert answer(opened(out), **lists) == expected
    assert sum(map(len, read)) == 1


@pytest.mark.parametrize("way", ["all by the core", "all by Arrow", "runs that are kept"])
@pytest.mark.parametrize("step", [pytest.param(3, marks=pytest.mark.slow), 61])
def test_whoever_reads_a_row_group_the_answer_is_duckdbs(
    out: Path, monkeypatch: pytest.MonkeyPatch, way: str, step: int
) -> None:
    if way == "all by the core":
        monkeypatch.setattr(layouts, "_FEW", 1)
        monkeypatch.setattr(matching, "_KEPT_GROUPS", 1_000)
        monkeypatch.setattr(Looked, "_of_groups", lambda *_: pytest.fail("the core reads all of them"))
    else:
        without_layouts(monkeypatch)
        monkeypatch.setattr(matching, "_KEPT_GROUPS", 1 if way == "runs that are kept" else 1_000)
    assert same(out, step) > 0


def test_further_conditions_are_asked_of_rows_that_the_core_read(out: Path) -> None:
    rows = (
        duckdb.connect()
        .execute(
            f"""select "from", ledger_sequence, event_index, contract_id, event_type, amount_text
        from read_parquet('{out}/*/**/*.parquet', union_by_name=true) where "from" is not null order by all"""
        )
        .fetchall()
    )
    tables = opened(out)
    for account, _, _, contract, kind, amount in rows[::40]:
        same_account = [row for row in rows if row[0] == account]
        asked_for: dict[str, tuple[dict[str, Any], Any]] = {
            "event_types": ({"event_types": (kind,)}, lambda row, kind=kind: row[4] == kind),
            "contract_ids": (
                {"contract_ids": (contract,)},
                lambda row, contract=contract: row[3] == contract,
            ),
            "where": ({"where": f"amount_text = '{amount}'"}, lambda row, amount=amount: row[5] == amount),
        }
        for lists, is_meant in asked_for.values():
            where = " and ".join(filter(None, [lists.pop("where", ""), f"\"from\" = '{account}'"]))
            found = answer(tables, accounts=(account,), where=where, **lists)
            assert found == sorted((row[1], row[2]) for row in same_account if is_meant(row))


def test_indexes_are_let_go_of_when_they_are_many_or_their_files_gone(out: Path) -> None:
    tables = opened(out)
    stored = tables.stored
    assert stored
    (table,) = stored.tables.values()
    answer(tables, accounts=("never",))
    assert table.indexes.size_bytes > 0
    table.indexes.forget(lambda _: True)
    assert table.indexes.size_bytes == 0
    few = Indexes(most_bytes=1)
    probe = (((("accounts", "never"),),),)
    for held in table.held:
        for kept in held_files(table.listing, held):
            assert few.groups(table.listing, held, kept, probe) == []
    assert few.size_bytes <= 1
