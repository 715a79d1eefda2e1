"""The lifecycle over REST and on a schedule, in the analytics service."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import stellarrow as sa
from stellarrow.config import Analytics, read
from stellarrow.errors import ConfigError
from stellarrow.lifecycle.run import Lifecycle, Report
from stellarrow.lifecycle.schedule import Schedule
from stellarrow.services.analytics import AnalyticsService

SECONDS = 60.0
RUN = "/v1/admin/lifecycle/run"


@pytest.fixture
def stored(make_lake: Any, tmp_path: Path) -> Path:
    place = tmp_path / "place"
    sa.run(str(make_lake()), tables=["ledgers"], sinks=f"parquet:{place}?ledgers=10", network="synthetic")
    return place


class Served:
    """The service over stored tables, with a key of an administrator and one of a reader."""

    def __init__(self, stored: Path, state: Path, **more: str) -> None:
        given = {
            **dict.fromkeys(("rest_port", "websocket_port", "health_port"), "127.0.0.1:0"),
            "data": str(stored),
            "state_dir": str(state),
            "parquet_policy": "archive 1d",
            "archive": str(stored.parent / "old"),
            **more,
        }
        self.state = state
        self.service = AnalyticsService(read(Analytics, given, environ={}))
        self.service.start()
        self.url = f"http://{self.service.rest.address}"

    def key(self, role: str) -> str:
        keys = self.service._secured.keys
        assert keys
        return keys.create(f"a-{role}", [role], created_by="test")[1]

    def ask(self, method: str, path: str, key: str) -> httpx.Response:
        return httpx.request(method, self.url + path, headers={"X-API-Key": key}, timeout=SECONDS)

    def ended(self, key: str) -> dict[str, Any]:
        deadline = time.monotonic() + SECONDS
        while (told := self.ask("GET", RUN, key)).json().get("state") in (None, "running"):
            assert time.monotonic() < deadline, told.text
            time.sleep(0.02)
        found: dict[str, Any] = told.json()
        return found

    def audit(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.state / "audit.jsonl").read_text().splitlines()]

    def metrics(self) -> str:
        return self.service._metrics.text().decode()

    def close(self) -> None:
        self.service.drain()
        self.service.close()


@pytest.fixture
def served(stored: Path, tmp_path: Path) -> Iterator[Served]:
    made = Served(stored, tmp_path / "state", auth="api_key")
    yield made
    made.close()


def test_an_administrator_sees_what_is_due_runs_it_and_is_told_how_it_went(
    served: Served, stored: Path
) -> None:
    key = served.key("admin")
    assert served.ask("GET", RUN, key).status_code == 404
    status = served.ask("GET", "/v1/admin/lifecycle", key).json()
    assert [(one["table"], one["here"]) for one in status["tables"]] == [("ledgers", "100:139")]
    assert (status["last_run"], status["policies"]["parquet"]) == (None, "archive 1d")
    plan = served.ask("GET", "/v1/admin/lifecycle/plan?limit=3", key).json()
    assert ([one["ledgers"] for one in plan["steps"]], plan["total_steps"]) == (
        ["100:109", "110:119", "120:129"],
        4,
    )
    assert stored.joinpath("ledgers", "0000000100-0000000109.parquet").exists()
    begun = served.ask("POST", RUN, key)
    assert (begun.status_code, begun.json()["by"]) == (202, "a-admin")
    run = served.ended(key)
    assert (run["state"], run["done"], run["problems"]) == ("done", {"archive": 4}, [])
    assert run["freed_bytes"] == plan["total_bytes"]
    assert not [*stored.glob("ledgers/*.parquet")]
    status = served.ask("GET", "/v1/admin/lifecycle", key).json()
    assert (status["tables"][0]["archived"], status["last_run"]["id"]) == ("100:139", 1)
    lines = [one for one in served.audit() if one["principal"] == "a-admin"]
    events = [one["event"] for one in lines if one["event"] != "authenticated"]
    assert events == ["lifecycle run asked for", *["data archived"] * 4, "lifecycle run"]
    told = served.metrics()
    assert 'lifecycle_ranges_total{action="archive",status="success"} 4.0' in told
    assert 'lifecycle_runs_total{state="done"} 1.0' in told
    assert f"lifecycle_freed_bytes_total {float(plan['total_bytes'])}" in told


def test_nobody_but_an_administrator_may(served: Served, stored: Path) -> None:
    key = served.key("reader")
    for method, path in (
        ("GET", "/v1/admin/lifecycle"),
        ("GET", "/v1/admin/lifecycle/plan"),
        ("GET", RUN),
        ("POST", RUN),
        ("DELETE", RUN),
    ):
        assert served.ask(method, path, key).status_code == 403
    assert len([*stored.glob("ledgers/*.parquet")]) == 4


def test_without_keys_nobody_can_ask_for_it(stored: Path, tmp_path: Path) -> None:
    served = Served(stored, tmp_path / "state")
    try:
        assert served.ask("POST", RUN, "").status_code == 404
        document = served.ask("GET", "/openapi.json", "").json()
        assert not [path for path in document["paths"] if "lifecycle" in path]
    finally:
        served.close()


def test_the_document_describes_every_call_by_its_answers(served: Served) -> None:
    document = served.ask("GET", "/openapi.json", served.key("admin")).json()
    described = {
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in item
        if "lifecycle" in path
    }
    assert described == {call for call in served.service.rest.calls if "lifecycle" in call}


@pytest.mark.parametrize("limit", ["0", "-1", "many", "100001", "٣"])
def test_a_limit_that_cannot_be_meant_is_a_400(served: Served, limit: str) -> None:
    answer = served.ask("GET", f"/v1/admin/lifecycle/plan?limit={limit}", served.key("admin"))
    assert (answer.status_code, "limit is" in answer.json()["detail"]) == (400, True)


def test_one_run_is_at_it_at_a_time_and_ends_when_asked(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = threading.Event()

    def waiting(_: Lifecycle, told: Any, *, stopped: Any) -> Report:  # noqa: ARG001
        began.set()
        deadline = time.monotonic() + SECONDS
        while not stopped() and time.monotonic() < deadline:
            time.sleep(0.01)
        return Report()

    monkeypatch.setattr(Lifecycle, "run", waiting)
    key = served.key("admin")
    assert served.ask("DELETE", RUN, key).status_code == 404
    assert served.ask("POST", RUN, key).status_code == 202
    assert began.wait(SECONDS)
    assert served.ask("POST", RUN, key).status_code == 409
    assert served.ask("DELETE", RUN, key).status_code == 202
    assert served.ended(key)["state"] == "stopped"


def test_a_schedule_runs_by_itself_and_the_audit_log_says_so(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = [datetime.now(UTC), datetime.now(UTC), datetime.now(UTC) + timedelta(days=1)]
    monkeypatch.setattr(Schedule, "after", lambda *_: due.pop(0) if len(due) > 1 else due[0])
    served = Served(stored, tmp_path / "state", schedule="0 3 * * * UTC")
    try:
        deadline = time.monotonic() + SECONDS
        while 'lifecycle_runs_total{state="done"} 1.0' not in served.metrics():
            assert time.monotonic() < deadline, served.service._aging.last_run()  # type: ignore[union-attr]
            time.sleep(0.02)
        assert not [*stored.glob("ledgers/*.parquet")]
        assert {one["principal"] for one in served.audit()} == {"the schedule"}
    finally:
        served.close()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"parquet_policy": "burn 3d"}, "parquet.policy has"),
        ({"schedule": "now"}, "schedule"),
        ({"archive": "{place}/inside"}, "lie in each other"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_is_served(
    stored: Path, tmp_path: Path, more: dict[str, str], sentence: str
) -> None:
    given = {name: text.format(place=stored) for name, text in more.items()}
    with pytest.raises(ConfigError, match=sentence):
        Served(stored, tmp_path / "state", **given)
