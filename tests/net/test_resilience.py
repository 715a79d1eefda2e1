from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from stellarrow.errors import ConfigError, SinkUnavailable, SourceError, SourceUnavailable, Stopped
from stellarrow.net.resilience import Guard, Policy
from stellarrow.telemetry.metrics import Metrics

HASTY = Policy(first_wait=0.001, longest_wait=0.002, timeout=0.05, reset_after=0.05)


class Server:
    """Fails as often as told, then answers."""

    def __init__(
        self, failures: int, error: Callable[[], Exception] = lambda: SourceUnavailable("down")
    ) -> None:
        self.failures = failures
        self.error = error
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error()
        return "answer"


def hasty(**changes: float | None) -> Policy:
    report: dict[str, float | None] = {
        name: getattr(HASTY, name) for name in ("first_wait", "longest_wait", "timeout", "reset_after")
    }
    return Policy(**(report | changes))  # type: ignore[arg-type]


def value(metrics: Metrics, sample: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(sample, labels)


def test_an_unavailable_server_is_asked_again_until_it_answers() -> None:
    server, metrics = Server(3), Metrics()
    assert Guard("node", HASTY, metrics=metrics).call("get", server) == "answer"
    assert (server.calls, value(metrics, "retry_attempts_total", operation="get")) == (4, 3.0)


def test_the_last_error_is_raised_when_the_attempts_are_used_up() -> None:
    server = Server(99)
    with pytest.raises(SourceUnavailable, match="down"):
        Guard("node", hasty(attempts=3)).call("get", server)
    assert server.calls == 3


def test_an_error_that_is_final_is_not_tried_again() -> None:
    server = Server(1, lambda: SourceError("403"))
    with pytest.raises(SourceError, match="403"):
        Guard("node", HASTY).call("get", server)
    assert server.calls == 1


def test_a_server_that_says_how_long_is_heeded() -> None:
    began = time.monotonic()
    Guard("node", HASTY).call("get", Server(1, lambda: SourceUnavailable("429", retry_after=0.1)))
    assert time.monotonic() - began >= 0.1


def test_a_server_that_asks_for_too_long_is_given_up() -> None:
    server = Server(1, lambda: SourceUnavailable("429", retry_after=3600))
    with pytest.raises(SourceUnavailable, match="429"):
        Guard("node", HASTY).call("get", server)
    assert server.calls == 1


def test_failures_in_a_row_open_the_breaker_and_one_success_closes_it() -> None:
    metrics = Metrics()
    guard = Guard("node", hasty(attempts=1, failures_to_open=2), metrics=metrics)
    server = Server(2)
    seen = []
    for _ in range(3):
        with pytest.raises(SourceUnavailable):
            guard.call("get", server)
        seen.append((guard.state, server.calls, value(metrics, "circuit_breaker_state", name="node")))
    assert seen == [("closed", 1, 0.0), ("open", 2, 1.0), ("open", 2, 1.0)]
    time.sleep(HASTY.reset_after)
    assert guard.call("get", server) == "answer"
    assert guard.state == "closed"


def test_a_refusal_names_the_error_behind_it() -> None:
    guard = Guard("disk", hasty(attempts=1, failures_to_open=1), refusal=SinkUnavailable)
    with pytest.raises(SourceUnavailable):
        guard.call("put", Server(9))
    with pytest.raises(SinkUnavailable, match=r"disk is left alone for 0\.\d s after: down"):
        guard.call("put", Server(0))


def test_half_open_lets_one_call_through() -> None:
    guard = Guard("node", hasty(attempts=1, failures_to_open=1))
    with pytest.raises(SourceUnavailable):
        guard.call("get", Server(9))
    time.sleep(HASTY.reset_after)
    inside, go_on = threading.Event(), threading.Event()

    def probe() -> None:
        inside.set()
        go_on.wait(5)

    thread = threading.Thread(target=guard.call, args=("get", probe))
    thread.start()
    assert inside.wait(5)
    with pytest.raises(SourceUnavailable, match="left alone"):
        guard.call("get", Server(0))
    states = [guard.state]
    go_on.set()
    thread.join()
    states.append(guard.state)
    assert states == ["half-open", "closed"]


def test_a_failed_probe_opens_the_breaker_again() -> None:
    guard = Guard("node", hasty(attempts=1, failures_to_open=3))
    server = Server(99)
    for _ in range(3):
        with pytest.raises(SourceUnavailable):
            guard.call("get", server)
    time.sleep(HASTY.reset_after)
    with pytest.raises(SourceUnavailable, match="down"):
        guard.call("get", server)
    assert guard.state == "open"


def test_calls_outlast_an_open_breaker() -> None:
    guard = Guard("node", hasty(attempts=20, failures_to_open=2))
    assert guard.call("get", Server(4)) == "answer"


def test_no_more_calls_than_allowed_run_at_once() -> None:
    metrics = Metrics()
    guard = Guard("node", hasty(concurrency=1, attempts=1), metrics=metrics)
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        inside.set()
        go_on.wait(5)

    thread = threading.Thread(target=guard.call, args=("get", slow))
    thread.start()
    assert inside.wait(5)
    with pytest.raises(SourceUnavailable, match="has 1 calls under way"):
        guard.call("get", Server(0))
    go_on.set()
    thread.join()
    assert value(metrics, "bulkhead_rejections_total", name="node") == 1.0


def test_calls_wait_for_their_tokens() -> None:
    guard = Guard("node", hasty(per_second=50, burst=1, timeout=5))
    began = time.monotonic()
    for _ in range(6):
        guard.call("get", Server(0))
    assert time.monotonic() - began >= 5 / 50


def test_a_token_too_far_away_is_a_refusal() -> None:
    metrics = Metrics()
    guard = Guard("node", hasty(per_second=0.1, burst=1, attempts=1), metrics=metrics)
    guard.call("get", Server(0))
    with pytest.raises(SourceUnavailable, match=r"more than 0\.1 times a second"):
        guard.call("get", Server(0))
    assert value(metrics, "rate_limit_rejections_total", name="node") == 1.0


def test_a_stop_ends_the_waiting_at_once() -> None:
    stop = threading.Event()
    guard = Guard("node", hasty(first_wait=60, longest_wait=60, attempts=None), stop=stop)
    threading.Timer(0.05, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        guard.call("get", Server(99, lambda: SourceUnavailable("429", retry_after=60)))
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("name", ["attempts", "first_wait", "timeout", "concurrency", "per_second"])
def test_a_policy_without_sense_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is 0: it must be more than 0"):
        hasty(**{name: 0})
