"""Token transfers with what tokens are called, over Flight."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from enrichment.test_tokens import instance, metadata, rows_of
from stellarrow.enrichment.instance import Token
from stellarrow.enrichment.tokens import Tokens
from stellarrow.enrichment.transfers import COLUMNS, enriched

from .conftest import Start

ADDED = [field.name for field in COLUMNS]


def test_sessions_and_ranges_answer_with_the_columns_where_asked(start: Start) -> None:
    service = start(tables=("token_transfers", "contract_data"))
    service.finished(service.processor.start(100, 139).id)
    plain = service.tables.path("token_transfers")
    custom = next(row["contract_id"] for row in plain.to_pylist() if row["asset_type"] is None)
    service.processor.tokens.learn(rows_of((100, custom, False, instance(metadata(3, b"Mine", b"MINE")))))
    commands: tuple[dict[str, Any], ...] = ({}, {"start_ledger": 100, "end_ledger": 139})
    for command in commands:
        received = service.tables.read(table="token_transfers", enriched=True, **command)
        rows = received.rows
        assert [{k: v for k, v in row.items() if k not in ADDED} for row in rows] == plain.to_pylist()
        mine = [row for row in rows if row["contract_id"] == custom]
        assert {(row["asset_decimals"], row["asset_name"], row["asset_symbol"]) for row in mine} == {
            (3, "Mine", "MINE")
        }
        assert all(row["amount"] for row in rows if row["asset_type"])
    whole = plain.combine_chunks().to_batches()[0]
    assert enriched(whole, service.processor.tokens).to_pylist() == rows


def test_what_is_kept_teaches_what_tokens_are_called(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    learn = Tokens.learn

    def learned(tokens: Tokens, rows: pa.RecordBatch) -> int:
        seen.append(rows.num_rows)
        return learn(tokens, rows)

    monkeypatch.setattr(Tokens, "learn", learned)
    service = start(tables=("token_transfers", "contract_data@1.0", "contract_data@2.0"))
    service.finished(service.processor.start(100, 139).id)
    assert sum(seen) == service.tables.path("contract_data").num_rows


def test_what_a_session_learned_is_on_the_disk_before_it_is_committed(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learned(tokens: Tokens, rows: pa.RecordBatch) -> int:
        ledger = rows["ledger_sequence"][-1].as_py()
        tokens._unsaved["C" * 56] = (ledger, Token(7, str(ledger), "T"))
        return 1

    monkeypatch.setattr(Tokens, "learn", learned)
    service = start(tables=("contract_data",))
    work = service.processor.work(service.processor.start(100, 139).id)
    while not work.session.status.is_final:
        committed = work.session.current
        saved = Tokens(service.processor.options.state_dir / "tokens.sqlite3").get("C" * 56)
        assert committed <= (int(str(saved.name)) if saved else 0)
    saved = Tokens(service.processor.options.state_dir / "tokens.sqlite3").get("C" * 56)
    assert (work.session.current, str(saved and saved.name)) == (139, "139")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ({"table": "ledgers"}, "enriched adds columns to token_transfers alone"),
        ({"table": "token_transfers", "columns": ["amount_text"]}, "leave columns, select"),
    ],
)
def test_it_goes_with_the_whole_table_alone(start: Start, command: dict[str, object], told: str) -> None:
    with pytest.raises(Exception, match=told):
        start().tables.info(enriched=True, **command)
