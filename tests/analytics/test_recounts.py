"""Who follows figures is told all windows again where ledgers left them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from analytics.sockets import Client, connected
from analytics.test_departed import figures, placed, until


def windows(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {row["window_start"]: row for row in rows}


def recounted(client: Client, *ids: str) -> list[dict[str, Any]]:
    """Return what subscriptions are told of the windows without ledgers 100 to 119, which leave in steps."""
    found: dict[str, dict[str, Any]] = {}
    while found.keys() != {*ids}:
        told = client.next("data")
        assert told["recounted"] is True
        if told["first_ledger"] == 120:
            found[told["id"]] = told
    return [*found.values()]


def test_who_follows_figures_is_told_all_windows_again_where_ledgers_left(
    tmp_path: Path, ledgers: tuple[bytes, ...]
) -> None:
    with placed(tmp_path, ledgers) as made, connected(made.served) as client:
        asked: dict[str, Any] = {"channel": "analytics/network", "window": "1m"}
        client.subscribe(id="first", **asked, **{"from": "earliest"})
        first = client.next("data")
        assert "recounted" not in first
        client.subscribe(id="late", **asked, **{"from": "latest"})
        made.aged.days = 10
        assert made.aged.run(patience=60.0).problems == []
        made.served.service.tables.look()
        found = recounted(client, "first", "late")
        rest = made.served.get("/v1/analytics/network", window="1m").json()["rows"]
        assert [windows(one["rows"]) for one in found] == [windows(rest)] * 2
        assert len(rest) < len(first["rows"])


def test_who_had_no_credit_when_figures_were_counted_again_is_told_all_windows_with_the_next(
    tmp_path: Path, ledgers: tuple[bytes, ...]
) -> None:
    with placed(tmp_path, ledgers) as made, connected(made.served) as client:
        asked: dict[str, Any] = {"channel": "analytics/network", "window": "1m"}
        client.subscribe(id="slow", **asked, **{"from": "earliest", "credit": 1})
        client.next("data")
        made.aged.days = 10
        assert made.aged.run(patience=60.0).problems == []
        made.served.service.tables.look()
        until(lambda: figures(made.served)["rows"][0]["first_ledger"] == 120)
        client.say("ping")
        assert client.next_of("pong")
        client.say("credit", id="slow", bytes=1 << 30)
        (told,) = recounted(client, "slow")
        rest = made.served.get("/v1/analytics/network", window="1m").json()["rows"]
        assert windows(told["rows"]) == windows(rest)
