"""The log's level, read and changed while a service runs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from security.deployment import Deployment, Server
from stellarrow.telemetry import logs


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    logger = logging.getLogger("stellarrow")
    before = logger.level
    logger.setLevel("INFO")
    yield
    logger.setLevel(before)


def asked(server: Server, key: str, body: bytes | None = None) -> Any:
    method = "GET" if body is None else "POST"
    url = f"http://{server.address}/v1/admin/log-level"
    return urllib3.request(method, url, body=body, headers={"X-API-Key": key}, retries=False, timeout=10)


def test_every_service_shows_and_changes_the_level_and_the_audit_log_says_who_did(
    with_keys: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    _, key = with_keys.store.create("levels", ["admin"], created_by="test")
    servers = [one for one in with_keys.servers if one.protocol == "http"]
    assert len(servers) > 2
    with logs.written("info", "json"):
        for server in servers:
            logging.getLogger("stellarrow.test").debug("not seen by %s", server.service)
            assert asked(server, key).json() == {"level": "info"}
            assert asked(server, key, b'{"level": "debug"}').json() == {"level": "debug"}
            assert asked(server, key).json() == {"level": "debug"}
            logging.getLogger("stellarrow.test").debug("seen by %s", server.service)
            assert asked(server, key, b'{"level": "info"}').status == 200
    told = capsys.readouterr().err
    assert all(f'"seen by {one.service}"' in told for one in servers)
    assert "not seen" not in told
    lines = [json.loads(line) for line in (with_keys.state_dir / "audit.jsonl").read_text().splitlines()]
    changes = [
        one["target"] for one in lines if (one["event"], one["principal"]) == ("log level changed", "levels")
    ]
    assert changes == ["debug", "info"] * len(servers)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{}", "it must be debug, info, warning, error"),
        (b'{"level": "loud"}', "level is 'loud'"),
        (b'{"level": ["debug"]}', "level is "),
        (b'{"level": "debug", "logger": "root"}', "logger is unknown here: use level"),
        (b'{"level": "' + b"x" * 5_000 + b'"}', "it must be"),
        (b"debug", "the body"),
    ],
)
def test_a_level_that_cannot_be_meant_is_a_short_400_and_changes_nothing(
    with_keys: Deployment, body: bytes, sentence: str
) -> None:
    server = with_keys.server("processor", "http")
    _, key = with_keys.store.create(f"wrong-{abs(hash(body))}", ["admin"], created_by="test")
    answer = asked(server, key, body)
    assert (answer.status, sentence in answer.json()["error"], len(answer.data) < 600) == (400, True, True)
    assert logs.level() == "info"
