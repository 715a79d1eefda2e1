from __future__ import annotations

import pytest

import stellarrow as sa
from tables.golden import CORPORA, REPOSITORY

TABLES = sorted({table.name for table in sa.tables()})


@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_golden_rows_in_a_plain_clone(table: str) -> None:
    by_hand = REPOSITORY / "tests" / "golden" / table / "by-hand.jsonl"
    bundled = (corpus for corpus in CORPORA if corpus.bundled)
    assert by_hand.exists() or any(corpus.golden(table, None) for corpus in bundled)


def test_golden_files_are_those_of_known_ledgers() -> None:
    """A file of another name would never be read."""
    folder = REPOSITORY / "tests" / "golden"
    names = {f"{corpus.name}.jsonl.zst" for corpus in CORPORA if corpus.bundled} | {"by-hand.jsonl"}
    assert {path.name for path in folder.glob("*/*")} <= names
    assert {path.parent.name for path in folder.glob("*/*")} == set(TABLES)
