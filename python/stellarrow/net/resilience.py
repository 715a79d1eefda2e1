"""How patient a client is with its server: retry, circuit breaker, bulkhead and rate limit in one policy.

Only an `Unavailable` error is worth another try; every other one is final. tenacity does the retrying. The
breaker is ours: pybreaker holds a lock through each call, purgatory takes none, and neither serves threads.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final, Literal, TypeVar

import tenacity

from stellarrow.errors import ConfigError, SourceUnavailable, Stopped, Unavailable
from stellarrow.net.redaction import redacted_url
from stellarrow.telemetry.metrics import Metrics

Result = TypeVar("Result")
State = Literal["closed", "open", "half-open"]

_STATES: Final[tuple[State, ...]] = ("closed", "open", "half-open")  # by the number the metric gives them
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How often, how long and how much at once; times in seconds.

    A wait is random between nothing and a bound that doubles from `first_wait` to `longest_wait` (full
    jitter); where the server is asked too often, between half that bound and all of it. A server that says
    how long is heeded, unless it says more than `longest_heeded`. `failures_to_open` failures in a row open
    the breaker; after `reset_after` one call may try. `timeout` bounds each single operation, and each wait
    for room or for a token.
    """

    attempts: int | None = 8  # None: for ever
    first_wait: float = 0.2
    longest_wait: float = 30.0
    longest_heeded: float = 300.0
    timeout: float = 60.0
    failures_to_open: int = 10
    reset_after: float = 10.0
    concurrency: int = 64
    per_second: float | None = None
    burst: int = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value <= 0:
                raise ConfigError(f"{field.name} is {value}: it must be more than 0")


class Guard:
    """Stands before one server: every call goes through it, from any thread.

    What it refuses by itself it raises as `refusal`.
    """

    def __init__(
        self,
        name: str,
        policy: Policy | None = None,
        *,
        metrics: Metrics | None = None,
        stop: threading.Event | None = None,
        refusal: type[Unavailable] = SourceUnavailable,
    ) -> None:
        self.name = redacted_url(name)
        self.policy = policy or Policy()
        self.last_error: Unavailable | None = None  # since it worked last
        self._metrics = metrics or Metrics()
        self._stop = stop or threading.Event()
        self._refusal = refusal
        self._room = threading.BoundedSemaphore(self.policy.concurrency)
        self._breaker = _Breaker(self.name, self.policy, self._show)
        self._bucket = (
            TokenBucket(self.policy.per_second, self.policy.burst) if self.policy.per_second else None
        )
        self._show("closed")

    @property
    def state(self) -> State:
        """The breaker's."""
        return self._breaker.state

    def call(self, operation: str, work: Callable[[], Result]) -> Result:
        """Do the work, again where it was Unavailable; raise its last error, or Stopped when told to stop."""

        def before_sleep(tried: tenacity.RetryCallState) -> None:
            self._metrics.retry_attempts.labels(operation).inc()
            wait = tried.next_action.sleep if tried.next_action else 0.0
            text = str(self.last_error)
            _log.warning(
                "%s; trying again in %.1f s (attempt %d)",
                *(text if self.name in text else f"{self.name}: {text}", wait, tried.attempt_number + 1),
            )

        attempts = self.policy.attempts
        result: Result = tenacity.Retrying(
            stop=tenacity.stop_never if attempts is None else tenacity.stop_after_attempt(attempts),
            wait=self._wait,
            retry=tenacity.retry_if_exception(self._is_worth_it),
            sleep=self._sleep,
            before_sleep=before_sleep,
            reraise=True,
        )(self._once, work)
        return result

    def answered(self) -> None:
        """Note that the server works: what was wrong is over."""
        self.last_error = None
        self._breaker.worked()

    def _once(self, work: Callable[[], Result]) -> Result:
        if self._stop.is_set():
            raise Stopped(f"{self.name} was asked to stop")
        self._admit()
        try:
            if rest := self._breaker.enter():
                raise self._refusal(
                    f"{self.name} is left alone for {rest:.1f} s after: {self.last_error}", retry_after=rest
                )
            try:
                result = work()
            except Unavailable as error:
                self.last_error = error
                self._breaker.failed()
                raise
            except BaseException:
                self.answered()  # whatever it said
                raise
            self.answered()
            return result
        finally:
            self._room.release()

    def _admit(self) -> None:
        """Take a token and a place, or refuse; the caller gives the place back."""
        limit = self.policy.timeout
        if self._bucket:
            wait = self._bucket.take(limit)
            if wait is None:
                self._metrics.rate_limit_rejections.labels(self.name).inc()
                raise self._refusal(f"{self.name} is asked more than {self.policy.per_second} times a second")
            self._sleep(wait)
        if not self._room.acquire(timeout=limit):
            self._metrics.bulkhead_rejections.labels(self.name).inc()
            raise self._refusal(
                f"{self.name} has {self.policy.concurrency} calls under way, and none ended in {limit:g} s"
            )

    def _is_worth_it(self, error: BaseException) -> bool:
        return isinstance(error, Unavailable) and (error.retry_after or 0) <= self.policy.longest_heeded

    def _wait(self, tried: tenacity.RetryCallState) -> float:
        error = tried.outcome.exception() if tried.outcome else None
        answer = error.retry_after if isinstance(error, Unavailable) else None
        first = self.policy.first_wait
        if answer is not None:
            return max(0.0, answer) + random.uniform(0, first)  # noqa: S311  not all callers at once
        if isinstance(error, Unavailable) and error.busy:
            # Asking again soon is what it objects to: each wait is longer than the one before.
            bound = min(self.policy.longest_wait, first * 2 ** min(tried.attempt_number, 60))
            return random.uniform(bound / 2, bound)  # noqa: S311  not all callers at once
        return tenacity.wait_random_exponential(multiplier=first, max=self.policy.longest_wait)(tried)

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped(f"{self.name} was asked to stop")

    def _show(self, state: State) -> None:
        self._metrics.circuit_breaker_state.labels(self.name).set(_STATES.index(state))


class _Breaker:
    """Closed until failures come in a row, then open; half-open lets one call through to see."""

    def __init__(self, name: str, policy: Policy, show: Callable[[State], None]) -> None:
        self._name = name
        self._policy = policy
        self._show = show
        self._lock = threading.Lock()
        self._failures = 0
        self._opened_at = 0.0
        self._state: State = "closed"

    @property
    def state(self) -> State:
        return self._state

    def enter(self) -> float:
        """Let a call pass, or return how long to leave the server alone."""
        with self._lock:
            if self._state == "closed":
                return 0.0
            rest = self._opened_at + self._policy.reset_after - time.monotonic()
            if self._state == "open" and rest <= 0:
                self._become("half-open")
                return 0.0
            # Half-open, another call is trying the server: look again soon.
            return max(rest, self._policy.first_wait)

    def worked(self) -> None:
        with self._lock:
            self._failures = 0
            self._become("closed")

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            if self._state == "half-open" or self._failures >= self._policy.failures_to_open:
                self._opened_at = time.monotonic()
                self._become("open")

    def _become(self, state: State) -> None:
        if state != self._state:
            _log.info("%s: circuit breaker %s", self._name, state)
            self._state = state
            self._show(state)


class TokenBucket:
    """Tokens that drip in at a rate, up to a burst; each call takes one, in debt if it must wait."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._at = time.monotonic()
        self._lock = threading.Lock()

    def take(self, longest: float) -> float | None:
        """Return how long to wait before the call, or None, taking nothing, where that is over `longest`."""
        with self._lock:
            now = time.monotonic()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
            self._at = now
            wait = max(0.0, (1 - self._tokens) / self._per_second)
            if wait > longest:
                return None
            self._tokens -= 1
            return wait

    def wait(self) -> float:
        """Return how many seconds it takes until a call needs not wait; nothing is taken."""
        with self._lock:
            tokens = min(self._burst, self._tokens + (time.monotonic() - self._at) * self._per_second)
            return max(0.0, (1 - tokens) / self._per_second)
