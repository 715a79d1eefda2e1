"""A range brought into sinks by many workers: what is missing is cut into tasks, and an engine runs them.

The driver holds no state: what is done, the sinks' coverage says. Killed and started again, it goes on.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, runtime_checkable

from stellarrow import extras
from stellarrow.backfilling.plan import cut, ledgers_per_part, weights
from stellarrow.backfilling.work import Done, Task
from stellarrow.core.arguments import check, number, seconds, texts
from stellarrow.core.options import DecodeOptions
from stellarrow.errors import ConfigError, nearest
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerSet
from stellarrow.pipeline import loop
from stellarrow.pipeline.commits import covered_ledgers

_log: Final = logging.getLogger(__name__)
ENGINES: Final = ("local", "ray", "spark")
_TASKS_OF_A_WORKER: Final = 16  # at least, where there are as many parts: the last ones end together
_MOST_WORKERS: Final = 100_000
_LEDGERS_ALONE: Final = 8_000  # of a task where there is one worker, so that progress is told
_CHOICES: Final = (
    *(
        "where",
        "select",
        "decoded",
        "transfers",
        "verify_chain",
        "verify_hashes",
        "budget_mb",
        "commit_every",
    ),
)
_LEDGERS_OF_A_TASK: Final = 64_000  # at most, so that little is lost with a worker


class Engine(Protocol):
    """What runs tasks, here or elsewhere."""

    def run(self, tasks: Sequence[Task], stop: threading.Event) -> Iterator[tuple[Task, Done]]:
        """Yield tasks as they are done, in any order, and end early where `stop` is set.

        A worker that is lost is replaced; a task that fails for good is TaskFailed.
        """


@runtime_checkable
class OneWriter(Protocol):
    """A sink that one process at a time writes to."""

    @property
    def writer_limit(self) -> str:
        """Why, as a sentence without its end."""


@dataclass(slots=True)
class BackfillReport:
    """What a backfill did: ledgers that became durable, and those that were there before.

    `cpu_seconds` are the workers', `seconds` the driver's. `total` is what was missing at the start.
    """

    total: int
    skipped: int
    ledgers: int = 0
    bytes: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    stopped: bool = False

    @property
    def eta_seconds(self) -> float | None:
        """How long the rest takes, if it goes on like this; None before anything is done."""
        if not self.ledgers:
            return None
        return self.seconds * (self.total - self.ledgers) / self.ledgers

    def add(self, done: Done, seconds: float) -> None:
        """Count a task that is done."""
        self.ledgers += done.ledgers
        self.bytes += done.bytes
        self.cpu_seconds += done.cpu_seconds
        self.seconds = seconds
        for name, rows in done.rows.items():
            self.rows[name] = self.rows.get(name, 0) + rows


def backfill(
    source: str | os.PathLike[str],
    *,
    tables: Sequence[str],
    sinks: Sequence[str] | str,
    network: str | None = None,
    ledgers: str | None = None,
    engine: str = "local",
    workers: int | None = None,
    address: str | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[BackfillReport], None] | None = None,
    **choices: Any,
) -> BackfillReport:
    """Bring every wanted ledger that a sink lacks into the sinks, by many workers at once.

    The range is cut where sinks begin files or partitions, so workers share none. A worker that is lost is
    replaced, and the same call continues from what is durable.

    Args:
        source: A path or URL of ledgers that every worker reaches.
        tables: Names, as `name` or `name@version`.
        sinks: Where rows go, such as `parquet:FOLDER`, as text that every worker reaches alike.
        network: A name such as `pubnet`, or a passphrase. None takes what the source tells.
        ledgers: Text as the command line takes it, such as `"58752000:+64000"`; None takes all there are.
        engine: `local`, processes of this machine; `ray`, a Ray cluster (extra `ray`); `spark`, Apache Spark
            (extra `spark`).
        workers: How many tasks run at once; None takes one a processor, of the cluster where there is one.
        address: The cluster's, such as `auto` of Ray, or `spark://HOST:7077`. None takes the Spark session
            that there is, or starts a cluster on this machine.
        stop: Once it is set, what is in hand is made durable, and backfill returns.
        progress: Called after each task with the report so far.
        choices: Further arguments of `sa.run`: where, select, decoded, transfers, verify_chain,
            verify_hashes, budget_mb, commit_every.

    Returns:
        A BackfillReport.

    Raises:
        ConfigError: An argument makes no sense, or the range is open.
        TaskFailed: A part cannot be extracted; the message says which ledgers, and why.
    """
    from stellarrow import registry  # noqa: PLC0415  loads sources and sinks

    check(source=source, tables=tables, network=network, ledgers=ledgers)
    if workers is not None:
        workers = number("workers", workers, least=1, most=_MOST_WORKERS)
    choices = _checked(choices)
    places = [sinks] if isinstance(sinks, str) else sinks
    texts("sinks", places, such_as="parquet:./out")
    stop = stop or threading.Event()
    began = time.monotonic()
    extras.require("this backfill", *registry.extras_of(os.fspath(source), sinks=places))
    whole = Task(
        os.fspath(source), tuple(tables), tuple(places), ledgers or "", {"network": network, **choices}
    )
    planned = _planned(whole, workers or os.cpu_count() or 1)
    report = BackfillReport(planned.missing.count, planned.skipped)
    if planned.tasks:
        workers = _limited(workers, planned.limit)
        for _, done in opened(engine, workers, address).run(planned.tasks, stop):
            report.add(done, time.monotonic() - began)
            if progress:
                progress(report)
    report.seconds = time.monotonic() - began
    report.stopped = stop.is_set() and report.ledgers < report.total
    return report


def _checked(choices: dict[str, Any]) -> dict[str, Any]:
    """Return the further arguments of sa.run, looked at before a worker is."""
    for name in choices:
        if name not in _CHOICES:
            remedy = nearest(name, _CHOICES, f"there are {', '.join(_CHOICES)}")
            raise ConfigError(f"a backfill has no argument {name!r}: {remedy}")
    numbers: dict[str, Callable[[Any], float]] = {
        "budget_mb": lambda value: number("budget_mb", value, least=1),
        "commit_every": lambda value: seconds("commit_every", value),
    }
    check(**{name: value for name, value in choices.items() if name not in ("where", *numbers)})
    Filter.of(choices.get("where"))
    return {name: numbers[name](value) if name in numbers else value for name, value in choices.items()}


def opened(engine: str, workers: int | None, address: str | None) -> Engine:
    """Return what runs tasks."""
    if engine == "local":
        from stellarrow.backfilling.local import LocalEngine  # noqa: PLC0415  one of several

        if address:
            raise ConfigError("an address is a cluster's: give engine ray or spark, too")
        return LocalEngine(workers or os.cpu_count() or 1)
    if engine == "ray":
        from stellarrow.backfilling.ray import RayEngine  # noqa: PLC0415  an extra

        return RayEngine(workers, address)
    if engine == "spark":
        from stellarrow.backfilling.spark import SparkEngine  # noqa: PLC0415  an extra

        return SparkEngine(workers, address)
    raise ConfigError(f"{engine!r} is no engine: choose {' or '.join(ENGINES)}")


@dataclass(frozen=True, slots=True)
class _Planned:
    """What is missing, how many ledgers are there already, and the tasks that bring the rest.

    `limit` is why one worker alone may do them, empty where any number may.
    """

    missing: LedgerSet
    skipped: int
    tasks: list[Task]
    limit: str


def _limited(workers: int | None, limit: str) -> int | None:
    """Return how many workers may write at once, and say why they are fewer than was asked for."""
    if not limit:
        return workers
    if workers != 1:
        _log.warning("%s: one worker brings all ledgers, one range after the other", limit)
    return 1


def _planned(whole: Task, workers: int) -> _Planned:
    from stellarrow import registry  # noqa: PLC0415  loads sources and sinks

    registry.check_apart(whole.sinks)
    choices = whole.choices
    with ExitStack() as stack:
        reading = stack.enter_context(closing(registry.open_source(whole.source, network=choices["network"])))
        found = registry.find_network(reading, choices["network"])
        options = DecodeOptions(
            network=found,
            where=Filter.of(choices.get("where"), select=choices.get("select", "")),
            decoded=choices.get("decoded", False),
            transfers=choices.get("transfers", "derive"),
        )
        made = registry.SinkOptions.of(options, expected=lambda: wanted)
        sinks = [
            stack.enter_context(closing(registry.open_sink(one, whole.tables, made))) for one in whole.sinks
        ]
        wanted = loop.wanted_ledgers(reading, whole.ledgers or None)
        if loop.is_open(wanted):
            raise ConfigError("a backfill has an end: give ledgers as A:B")
        missing = wanted - covered_ledgers(sinks)
        limit = next((one.writer_limit for one in sinks if isinstance(one, OneWriter)), "")
        workers = 1 if limit else workers
        size = ledgers_per_part(sinks, missing, workers)
        # Of one worker no other waits for the last task: few, as each begins a process and opens the sinks.
        count = -(-missing.count // (_LEDGERS_ALONE if limit else _LEDGERS_OF_A_TASK))
        count = max(1 if limit else min(workers * _TASKS_OF_A_WORKER, missing.count), count, 1)
        parts = cut(missing, count, size, weights(reading, missing, size))
    tasks = [
        replace(whole, ledgers=str(part), choices={**choices, "network": found.passphrase})
        for part in parts
        if part
    ]
    return _Planned(missing, wanted.count - missing.count, tasks, limit)
