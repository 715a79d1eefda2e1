"""sa.subscribe yields every row once, whatever happens to the connection."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import stellarrow as sa
from analytics.conftest import COUNT, FIRST, Given, Served
from analytics.test_stream import known, places
from fakes.process import free_port

Start = Callable[..., tuple[Served, Given]]
LAST = FIRST + COUNT - 1


def taken(subscription: sa.Subscription, until: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for batch in subscription:
        found += batch.to_pylist()
        if subscription.last_ledger >= until:
            break
    return found


def test_batches_come_from_the_beginning_and_as_ledgers_do(serve_given: Start, live_rows: Any) -> None:
    served, chain = serve_given()
    chain.give(110)
    served.wait_for(110)
    url = f"ws://{served.service.websocket.address}"
    with sa.subscribe(url, "token_transfers", start="earliest") as followed:
        batches = iter(followed)
        found: list[dict[str, Any]] = []
        while followed.last_ledger < 110:
            found += next(batches).to_pylist()
        chain.give(LAST)
        while followed.last_ledger < LAST:
            found += next(batches).to_pylist()
    assert places(found) == known(live_rows, FIRST, LAST)
    assert followed.gaps == []


def test_it_goes_on_when_the_server_is_gone_for_a_while(serve_given: Start, live_rows: Any) -> None:
    port = free_port()
    followed = sa.subscribe(f"ws://127.0.0.1:{port}", "token_transfers", start="earliest")
    found: list[dict[str, Any]] = []
    reached = threading.Event()

    def read() -> None:
        for batch in followed:
            found.extend(batch.to_pylist())
            if followed.last_ledger >= LAST:
                return
            if followed.last_ledger >= 120:
                reached.set()

    reading = threading.Thread(target=read)
    reading.start()
    served, chain = serve_given(websocket_port=f":{port}")
    chain.give(120)
    assert reached.wait(30)
    served.close()
    served, chain = serve_given(websocket_port=f":{port}")
    chain.give(LAST)
    reading.join(40)
    followed.close()
    assert not reading.is_alive()
    assert places(found) == known(live_rows, FIRST, LAST)


def test_filters_and_columns_are_the_servers(serve_given: Start, live_rows: Any) -> None:
    served, chain = serve_given()
    chain.give(LAST)
    served.wait_for(LAST)
    contract = live_rows["token_transfers"][110].column("contract_id")[0].as_py()
    url = f"ws://{served.service.rest.address}"
    columns = ("ledger_sequence", "contract_id")
    asked = sa.subscribe(url, "token_transfers", contract_ids=[contract], columns=columns, start="earliest")
    rows = next(iter(asked)).to_pylist()
    asked.close()
    assert {row["contract_id"] for row in rows} == {contract}


def test_what_the_server_refuses_is_an_error_at_once(serve_given: Start) -> None:
    served, _ = serve_given()
    url = f"ws://{served.service.rest.address}"
    with pytest.raises(sa.ConfigError, match="there is no table 'nothing'"):
        next(iter(sa.subscribe(url, "nothing")))
    with pytest.raises(sa.ConfigError, match="is no WebSocket: write ws://"):
        sa.subscribe("http://localhost", "ledgers")


def test_a_text_where_a_list_is_meant_is_refused_and_not_taken_letter_by_letter() -> None:
    with pytest.raises(sa.ConfigError, match=r"assets is the text 'native': give a list, as \['native'\]"):
        sa.subscribe("ws://127.0.0.1:1", "token_transfers", assets="native")


def test_a_list_may_be_any_texts_one_after_another_or_none_at_all() -> None:
    for given in (["native"], {"native"}, (one for one in ("native",))):
        asked = sa.subscribe("ws://127.0.0.1:1", "token_transfers", assets=given, accounts=None)  # type: ignore[arg-type]
        assert (asked._asked["assets"], "accounts" in asked._asked) == (["native"], False)
