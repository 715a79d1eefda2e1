"""Every line of a service's log has one form, whoever wrote it."""

from __future__ import annotations

import json
import logging
import socket
import threading
import warnings

import pytest

from stellarrow.net.address import Address
from stellarrow.servers.http import HealthServer
from stellarrow.telemetry import logs


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_what_libraries_say_is_json_as_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    with logs.written("info", "json"):
        logging.getLogger("stellarrow.source").info("ours")
        logging.getLogger("uvicorn.error").warning("theirs")
        logging.getLogger("uvicorn.error").info("chatter")
    assert [(line["logger"], line["message"]) for line in lines(capsys)] == [
        ("stellarrow.source", "ours"),
        ("uvicorn.error", "theirs"),
    ]


def test_a_request_that_is_no_http_leaves_no_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    with logs.written("info", "json"):
        server = HealthServer(Address("127.0.0.1", 0), ready=threading.Event())
        server.start()
        with socket.create_connection((server.address.host, server.address.port), timeout=5) as client:
            client.sendall(b"this is no HTTP\r\n\r\n")
            while client.recv(1 << 12):
                pass
        server.close()
    assert any("Invalid HTTP request" in line["message"] for line in lines(capsys))


def test_warnings_and_what_ends_a_thread_are_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ZeroDivisionError("by zero")

    with logs.written("info", "json"), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
        thread = threading.Thread(target=fail, name="worker")
        thread.start()
        thread.join()
    held = lines(capsys)
    assert any(line["message"].startswith("worker ended") and "by zero" in line["error"] for line in held)


def test_the_level_holds_for_our_own_lines_and_ends_with_the_block(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with logs.written("warning", "console"):
        logging.getLogger("stellarrow").info("quiet")
        logging.getLogger("stellarrow").warning("loud")
    assert capsys.readouterr().err.splitlines()[0].endswith("WARNING loud")
    assert not logging.getLogger("stellarrow").handlers


@pytest.mark.parametrize("form", ["console", "json"])
def test_what_others_wrote_makes_no_line_of_its_own_and_moves_no_cursor(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "a\r\n2026-01-01 00:00:00,000 ERROR forged\x1b[2J\u2028b\x9bc"
    with logs.written("info", form):
        logging.getLogger("stellarrow.test").warning("the node says %s", text)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "forged" in told
    assert not set(told) & set("\r\x1b\u2028\x9b")
