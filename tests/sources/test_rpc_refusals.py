"""What an RPC node's errors mean: when it is asked again, how long after, and when it is the end."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import pairwise
from typing import Any

import pytest

import stellarrow as sa
from fakes.rpc import Answer, Fault, RpcNode, serving
from stellarrow.core.decode import Decoder
from stellarrow.net.resilience import Policy
from stellarrow.sources.rpc import RpcSource

BRISK = Policy(attempts=6, first_wait=0.02, longest_wait=0.2, timeout=5.0, reset_after=0.05)
Serve = Callable[..., RpcNode]


@pytest.fixture
def serve(ledgers: tuple[bytes, ...]) -> Iterator[Serve]:
    with ExitStack() as stack:

        def started(*faults: Fault | None, **choices: Any) -> RpcNode:
            node = RpcNode(choices.pop("ledgers", ledgers), **choices)
            node.faults += faults
            return stack.enter_context(serving(node))

        yield started


def error(code: Any, message: str, status: int = 200, data: Any = None) -> Fault:
    """Answer getLedgers with a JSON-RPC error."""

    def answer(request: dict[str, Any]) -> Answer | None:
        if request["method"] != "getLedgers":
            return None
        report = {"code": code, "message": message, "data": data}
        return status, {}, json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": report}).encode()

    return answer


def read(node: RpcNode, first: int = 100, last: int = 139, **choices: Any) -> list[int]:
    decoder = Decoder(["ledgers"], network="synthetic")
    choices = {"policy": BRISK, "poll": 0.02, **choices}
    with closing(RpcSource([node.url], **choices)) as source:
        return [
            number
            for chunk in source.read(sa.LedgerRange(first, last))
            for number in decoder(chunk).tables["ledgers"].column("ledger_sequence").to_pylist()
        ]


def limits(node: RpcNode) -> list[int]:
    return [one["params"]["pagination"]["limit"] for one in node.asked if one["method"] == "getLedgers"]


BUSY = [
    (-32005, "limit exceeded"),
    (-32007, "50/second request limit reached"),
    (-32029, "too many requests"),
    (-32029, "no"),
    (429, "no"),
    (-32000, "you have exceeded your daily request rate"),
    (-32600, "Too Many Requests"),
    (-32602, "rate limit reached"),
    (-32603, "request limit reached, slow down"),
    (-31999, "quota used up"),
]


@pytest.mark.parametrize(("code", "message"), BUSY)
def test_a_node_asked_too_often_is_waited_for_and_its_pages_stay_large(
    serve: Serve, code: int, message: str
) -> None:
    node = serve(None, None, *[error(code, message)] * 3)
    assert read(node) == list(range(100, 140))
    assert limits(node) == [4, 16, 16, 16, 16, 20]


def test_each_pause_of_one_who_asks_too_often_is_longer(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    node = serve(None, *[error(-32007, "request limit reached")] * 4)
    with caplog.at_level(logging.WARNING):
        read(node, policy=Policy(attempts=6, first_wait=0.1, longest_wait=5.0))
    waits = [float(str(record.args[1])) for record in caplog.records if isinstance(record.args, tuple)]
    assert len(waits) == 4
    assert all(after >= before for before, after in pairwise(waits)), waits
    assert waits[0] >= 0.05


def test_how_long_to_wait_is_taken_from_the_errors_data(serve: Serve) -> None:
    node = serve(None, error(-32005, "rate", data={"rate": {"backoff_seconds": 0.5}}))
    began = time.monotonic()
    assert read(node, last=101) == [100, 101]
    assert time.monotonic() - began >= 0.5


@pytest.mark.parametrize("code", [-32000, -32001, -32099, -32603, -32700, -1, 0, "EIO", None], ids=str)
def test_an_error_of_the_node_about_a_ledger_it_has_passes(serve: Serve, code: Any) -> None:
    node = serve(None, *[error(code, "the database is locked")] * 3)
    assert read(node) == list(range(100, 140))


@pytest.mark.parametrize("code", [-32600, -32601, -32602])
def test_a_mistake_of_ours_is_final(serve: Serve, code: int) -> None:
    node = serve(None, *[error(code, "no such thing")] * 9)
    with pytest.raises(sa.SourceError, match="refused getLedgers: no such thing") as answer:
        read(node)
    assert not isinstance(answer.value, sa.SourceUnavailable)
    assert len(limits(node)) == 1


def test_an_error_in_the_body_of_http_400_counts_more_than_the_status(serve: Serve) -> None:
    node = serve(None, error(-32005, "limit exceeded", status=400), error(-32000, "busy db", status=404))
    assert read(node) == list(range(100, 140))


@pytest.mark.parametrize("code", [-32001, -32602])
def test_a_refusal_of_a_ledger_that_is_gone_names_the_window(serve: Serve, code: int) -> None:
    node = serve(None, *[error(code, "ledger not found")] * 9)
    with pytest.raises(sa.LedgerMissing, match="no longer in"):
        read(node, first=60, last=60)


def test_a_page_that_was_cut_grows_again(serve: Serve, ledgers: tuple[bytes, ...]) -> None:
    many = ledgers * 30
    node = serve(None, None, error(-32602, "limit must not exceed 3"), ledgers=many, first=100)
    with closing(RpcSource([node.url], policy=BRISK)) as source:
        for chunk in source.read(sa.LedgerRange(100, 100 + len(many) - 1)):
            last = chunk.last
    assert last == 100 + len(many) - 1
    assert limits(node)[2] == 3
    assert max(limits(node)) > 40


def test_the_word_limit_in_a_hosts_name_does_not_cut_pages(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = serve(None, None, error(-32602, "this cursor is unknown"))
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *rest, **named: real("127.0.0.1", *rest, **named))
    node.url = node.url.replace("127.0.0.1", "unlimited.example")
    assert read(node) == list(range(100, 140))
    assert 1 not in limits(node)
