"""Clients that are not Python's: Go as older consumers are written, Java, Rust."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from stellarrow.core.tables import schema

from .conftest import Start
from .foreign import LANGUAGES, Client, Language

pytestmark = pytest.mark.slow
Expected = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module", params=LANGUAGES, ids=lambda language: language.name)
def client(request: pytest.FixtureRequest) -> Client:
    language: Language = request.param
    return Client(language)


def test_it_reads_contract_data_by_its_path_to_the_end(
    start: Start, client: Client, expected: Expected
) -> None:
    service = start()
    service.finished(service.processor.start(100, 139).id)
    answer = client(service.flight.address, "contract/data")
    meant = schema("contract_data@1.0")
    assert answer.columns == meant.names
    assert answer.metadata == {key.decode(): value.decode() for key, value in meant.metadata.items()}
    assert plain(answer.rows) == plain(expected("contract_data@1.0"))
    assert [answer_shown["complete"] for answer_shown in answer.told][-1:] == [True]


@pytest.mark.parametrize(
    ("table", "compression"),
    [("contract_data@2.0", "lz4"), ("contract_events@1.0", "zstd"), ("token_transfers@1.0", "none")],
)
def test_it_reads_what_a_command_asks_for_and_goes_on_from_its_token(
    start: Start, client: Client, expected: Expected, table: str, compression: str
) -> None:
    service = start()
    service.finished(service.processor.start(100, 139).id)
    name, version = table.split("@")
    asked = {"table": name, "version": version}
    begun = client(service.flight.address, asked, compression=compression, batches=3)
    assert len(begun.told) == 3
    rest = client(
        service.flight.address, {**asked, "from": begun.told[-1]["resume"]}, compression=compression
    )
    assert plain(begun.rows + rest.rows) == plain(expected(table))


def test_it_reads_a_range_endpoint_by_endpoint(start: Start, client: Client, expected: Expected) -> None:
    service = start()
    asked = {"table": "contract_events", "start_ledger": 110, "end_ledger": 120}
    answer = client(service.flight.address, asked, compression="zstd")
    assert plain(answer.rows) == plain(expected("contract_events", 110, 120))
    assert (answer.told[0]["first_ledger"], answer.told[-1]["last_ledger"]) == (110, 120)


@pytest.mark.parametrize(
    ("asked", "compression", "sentence"),
    [
        ("contract/dta", "none", "there is no table"),
        ({"table": "ledgers", "strat_ledger": 5}, "none", "did you mean 'start_ledger'?"),
        ({"table": "ledgers"}, "snappy", "the header compression is 'snappy': it must be none, lz4, zstd"),
        (
            {"table": "ledgers", "start_ledger": 500, "end_ledger": 501},
            "none",
            "ledger 500 and 1 more are missing",
        ),
    ],
)
def test_it_shows_what_is_wrong_and_what_to_do(
    start: Start, client: Client, asked: str | dict[str, Any], compression: str, sentence: str
) -> None:
    assert sentence in client.refused(start().flight.address, asked, compression=compression)


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write values alike, as the languages print times and decimals each in their own way."""
    return [{name: _plain(name, value) for name, value in row.items()} for row in rows]


def _plain(name: str, value: Any) -> Any:
    if name == "closed_at":
        text = value.isoformat() if isinstance(value, datetime) else value
        return text.replace(" ", "T")[: len("2026-01-01T00:00:00")]
    if isinstance(value, Decimal) or name in ("balance", "amount_raw"):
        return None if value is None else str(int(value))
    return value
