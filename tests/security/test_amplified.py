"""Requests that are small, and would cost much or break something: long numbers, columns, tickets."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import urllib3
from pyarrow import ArrowInvalid, flight

import stellarrow as sa
from security.deployment import Deployment, Shown, flight_client, flight_options
from stellarrow.ledgers import LedgerRange

LONG = "9" * 5_000  # more digits than Python reads


@pytest.fixture(scope="module")
def reader(with_keys: Deployment) -> Shown:
    _, text = with_keys.store.create("amplifier", ["reader"], created_by="test")
    return Shown({"authorization": f"Bearer {text}"})


def rows(deployment: Deployment, shown: Shown, **asked: str) -> Any:
    url = f"http://{deployment.server('analytics', 'http').address}/v1/tables/ledgers/rows"
    return urllib3.request("GET", url, fields=asked, headers=dict(shown.headers), timeout=60, retries=False)


@pytest.mark.parametrize("name", ["start", "end", "limit", "cursor"])
def test_a_number_of_5000_digits_is_a_400_of_rest(
    with_keys: Deployment, reader: Shown, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = rows(with_keys, reader, **{name: LONG})
    assert (answer.status, len(answer.data) < 1_000, caplog.text) == (400, True, "")


@pytest.mark.parametrize(
    "where",
    [
        f"ledger_sequence = {LONG}",
        f"ledger_sequence IN (1, {LONG})",
        f"ledger_sequence BETWEEN 1 AND {LONG}",
        f"CAST('{LONG}' AS BIGINT) = 1",
        f"CAST(1 AS DECIMAL({LONG})) = 1",
        f"SUBSTRING(ledger_hash, 1, {LONG}) = 'a'",
    ],
)
def test_a_number_of_5000_digits_in_a_condition_is_a_400(
    with_keys: Deployment, reader: Shown, where: str
) -> None:
    assert rows(with_keys, reader, where=where).status == 400


@pytest.mark.parametrize(
    ("service", "asked"),
    [
        ("source", {"table": "raw_ledgers", "from": LONG[:3_900]}),
        ("source", {"table": "raw_ledgers", "from": "\uff11\uff10\uff10"}),
        ("source", {"table": "raw_ledgers", "from": "99999999999"}),
        ("processor", {"table": "ledgers", "from": LONG}),
        ("processor", {"table": "ledgers", "start_ledger": LONG}),
        ("processor", {"table": "ledgers", "start_ledger": 100, "columns": ["ledger_sequence"] * 100_000}),
        ("processor", {"table": "ledgers", "columns": ["ledger_sequence", "ledger_sequence"]}),
    ],
)
def test_flight_reads_no_number_too_long_and_no_column_twice(
    with_keys: Deployment, reader: Shown, service: str, asked: dict[str, Any]
) -> None:
    server = with_keys.server(service, "flight")
    ticket = flight.Ticket(json.dumps(asked).encode())
    with flight_client(server, reader) as client, pytest.raises(ArrowInvalid, match=r"from|ledger|twice"):
        client.do_get(ticket, flight_options(reader)).read_all()


@pytest.mark.parametrize("text", [LONG, f"1:{LONG}", f"1:+{LONG}", f"{LONG}:"])
def test_ledgers_of_5000_digits_are_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(sa.ConfigError):
        LedgerRange.parse(text)
    assert LedgerRange.parse("0" * 5_000 + "7:+3") == LedgerRange(7, 9)


def asked_of(deployment: Deployment, method: str, path: str, credential: str) -> Any:
    url = f"http://{deployment.server('processor', 'http').address}{path}"
    headers = {"Authorization": f"Bearer {credential}"}
    return urllib3.request(method, url, headers=headers, timeout=60, retries=False)


def test_a_ticket_of_an_administrator_reads_and_changes_nothing_and_gives_no_other_ticket(
    with_keys: Deployment,
) -> None:
    _, key = with_keys.store.create("ticket-admin", ["admin"], created_by="test")

    def ticket() -> str:
        made: str = asked_of(with_keys, "POST", "/v1/tickets", key).json()["ticket"]
        return made

    for method, path, status in (
        ("GET", "/sessions", 200),
        ("POST", "/v1/tickets", 403),
        ("POST", "/v1/admin/api-keys", 403),
        ("GET", "/v1/admin/api-keys", 403),
        ("POST", "/v1/admin/log-level", 403),
    ):
        assert (path, asked_of(with_keys, method, path, ticket()).status) == (path, status)
