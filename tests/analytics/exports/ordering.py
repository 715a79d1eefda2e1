"""How tests order exports, wait for them and read them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import httpx

from analytics.conftest import Served

Oracle = Callable[[str], list[tuple[Any, ...]]]
SECONDS = 60.0


def ordered(served: Served, **asked: Any) -> dict[str, Any]:
    answer = served.client.post("/v1/exports", json={"format": "ndjson", **asked})
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/exports/{job['id']}"
    return job


def ended(client: httpx.Client, job: dict[str, Any], **named: Any) -> dict[str, Any]:
    """Wait until an export has ended."""
    deadline = time.monotonic() + SECONDS
    while job["state"] in ("waiting", "running"):
        assert time.monotonic() < deadline, job
        time.sleep(0.02)
        answer = client.get(f"/v1/exports/{job['id']}", **named)
        assert answer.status_code == 200, answer.text
        job = answer.json()
    return job


def made(served: Served, **asked: Any) -> dict[str, Any]:
    job = ended(served.client, ordered(served, **asked))
    assert job["state"] == "done", job["error"]
    return job


def content(served: Served, job: dict[str, Any]) -> list[bytes]:
    """Download an export's files, each as its checksum says."""
    found = []
    for file in job["files"]:
        data = served.client.get(file["path"]).content
        assert hashlib.sha256(data).hexdigest() == file["sha256"]
        assert len(data) == file["bytes"]
        found.append(data)
    return found


def lines(served: Served, job: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for data in content(served, job) for line in data.splitlines()]
