"""The page of the analytics service in Chromium: how soon it shows things, and whether it stays small.

python benchmarks/analytics_page.py [--ledgers 17280]. Service and browser share the machine. The browser is
that of the tests (make servers fetches it); without it nothing is measured, and that is said.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from analytics_rest import stored
from machine import describe

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from analytics.browsing import Browser, Tab, started  # noqa: E402  the tests' own
from stellarrow.servers.analytics_http.pages import page_files  # noqa: E402  behind it

ROWS = 1_000_000
OPENINGS = 5
LIVE_LEDGERS = 40
FRAMES_SECONDS = 5
REPLAYED_A_SECOND = 400
# Notes when the first chart stands in the page, and when each ledger does, after the frame that shows it.
WATCHED = """
globalThis.seen = {chart: 0, ledgers: {}};
const look = () => requestAnimationFrame(() => setTimeout(() => {
  const at = performance.timeOrigin + performance.now();
  if (!seen.chart && document.querySelector(".chart canvas")) seen.chart = performance.now();
  const last = document.querySelector(".strip span:last-child")?.dataset.ledger;
  if (last && !seen.ledgers[last]) seen.ledgers[last] = at;
}));
new MutationObserver(look).observe(document, {childList: true, subtree: true});
"""
MILLION = """async ([path, fields]) => {
  const began = performance.now();
  const app = document.querySelector("script[type=module]").src;
  const {arrow} = await import(new URL("api.js", app));
  const {chart} = await import(new URL("charts.js", app));
  const rows = await arrow(path, {columns: fields.join(",")});
  const read = performance.now();
  const y = rows.getChild("event_index").toArray();
  const x = new Float64Array(rows.numRows);
  for (let at = 0; at < x.length; at += 1) x[at] = at;
  const made = chart({label: "rows", series: [{name: "rows", kind: "line"}]});
  document.querySelector("main").prepend(made.element);
  made.draw([x, y]);
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  return [rows.numRows, read - began, performance.now() - began];
}"""
FRAMES = """async (seconds) => {
  let frames = 0;
  const began = performance.now();
  while (performance.now() - began < seconds * 1000) {
    await new Promise(requestAnimationFrame);
    frames += 1;
  }
  return frames / ((performance.now() - began) / 1000);
}"""


class Service:
    """The service of another process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = f"http://{self._line().split()[1]}"

    def feed(self, a_second: float, count: int) -> dict[str, float]:
        """Hand ledgers in; return when each was, in milliseconds since 1970."""
        since = time.time() - time.monotonic()
        self.begin_feeding(a_second, count)
        return {ledger: 1e3 * (since + at) for ledger, at in self.fed().items()}

    def begin_feeding(self, a_second: float, count: int) -> None:
        print(f"feed {a_second} {count}", file=self._process.stdin, flush=True)

    def fed(self) -> dict[str, float]:
        found: dict[str, float] = json.loads(self._line())
        return found

    def _line(self) -> str:
        return self._process.stdout.readline() if self._process.stdout else ""


@contextmanager
def served(*argv: str) -> Iterator[Service]:
    whole = [sys.executable, str(HERE / "analytics_fed.py"), *argv]
    with subprocess.Popen(whole, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Service(process)
        if process.stdin:
            process.stdin.close()


def until(tab: Tab, expression: str, seconds: float = 60) -> None:
    """Wait until an expression is true: the page's policy lets the driver's own wait evaluate nothing."""
    deadline = time.monotonic() + seconds
    while not tab.page.evaluate(expression):
        if time.monotonic() > deadline:
            raise SystemExit(f"{expression} did not come true within {seconds:g} s")
        time.sleep(0.02)


def weight() -> Iterator[tuple[str, float, float]]:
    """Yield what the page weighs, compressed."""
    sizes = {name: len(file.zipped) / 1e3 for name, file in page_files().items() if "LICENSE" not in name}
    yield "libraries, kB gzip", sum(one for name, one in sizes.items() if name.startswith("vendor/")), 60
    yield "all, kB gzip", sum(sizes.values()), 150


def opened(browser: Browser, service: Service) -> Iterator[tuple[str, float, float]]:
    """Yield how soon the first chart stands, in a browser that has seen nothing of the page."""
    took = []
    for _ in range(OPENINGS):
        with browser.tab(service.url) as tab:
            tab.page.add_init_script(WATCHED)
            tab.open("/")
            until(tab, "seen.chart > 0")
            took.append(tab.page.evaluate("seen.chart"))
    yield "first chart, ms, median", statistics.median(took), 500


def live(tab: Tab, service: Service) -> Iterator[tuple[str, float, float]]:
    """Yield how late the page shows ledgers, and how many frames it draws meanwhile."""
    given = service.feed(2, LIVE_LEDGERS)
    until(tab, f"{max(map(int, given))} in seen.ledgers")
    seen = tab.page.evaluate("seen.ledgers")
    late = sorted(seen[ledger] - at for ledger, at in given.items() if ledger in seen)
    yield "ledgers shown, of all", len(late) / len(given), 1
    yield "ledger to pixel, ms, p50", late[len(late) // 2], 50
    yield "ledger to pixel, ms, p99", late[len(late) * 99 // 100], 150
    service.begin_feeding(5, 5 * FRAMES_SECONDS)
    yield "frames a second, live", tab.page.evaluate(FRAMES, FRAMES_SECONDS), 55
    service.fed()


def held(tab: Tab) -> tuple[float, float]:
    """Return the MB of the heap, and the nodes, after garbage was collected."""
    session = tab.page.context.new_cdp_session(tab.page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    told = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return told["JSHeapUsedSize"] / 1e6, told["Nodes"]


def replayed(tab: Tab, service: Service, ledgers: int) -> Iterator[tuple[str, float, float]]:
    """Yield what a day of ledgers leaves in a tab that is open meanwhile."""
    heap, nodes = held(tab)
    began = time.monotonic()
    last = max(map(int, service.feed(REPLAYED_A_SECOND, ledgers)))
    until(tab, f"{last} in seen.ledgers", 120)
    tab.page.evaluate("seen.ledgers = {}")
    now, more = held(tab)
    yield f"{ledgers:,} ledgers replayed, s", time.monotonic() - began, 0
    yield "heap afterwards, MB more", now - heap, 10
    yield "nodes afterwards, more", more - nodes, 1_000


def million(browser: Browser, folder: Path) -> Iterator[tuple[str, float, float]]:
    """Yield how long a million stored rows take from the question to the chart."""
    stored(folder, ROWS)
    fields = ["ledger_sequence", "closed_at", "transaction_index", "event_index", "amount_raw"]
    with served(str(folder)) as service, browser.tab(service.url) as tab:
        tab.open("/coverage")
        asked = ["/v1/tables/token_transfers/rows", fields]
        turns = [tab.page.evaluate(MILLION, asked) for _ in range(3)]
    rows, read, drawn = min(turns, key=lambda one: one[2])
    yield f"{rows:,} rows read, ms", read, 0
    yield f"{rows:,} rows in a chart, ms", drawn, 1_500


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledgers", type=int, default=17_280, help="replayed: a day has 17,280")
    given = parser.parse_args()
    print("| page | measured | goal |\n| --- | ---: | ---: |")
    missed = False

    def show(figures: Callable[..., Iterator[tuple[str, float, float]]], *arguments: Any) -> None:
        nonlocal missed
        for name, value, goal in figures(*arguments):
            most = "frames" not in name and "of all" not in name
            missed |= bool(goal) and (value > goal if most else value < goal)
            print(f"| {name} | {value:,.1f} | {goal or ''} |", flush=True)

    show(weight)
    with started() as browser, tempfile.TemporaryDirectory() as scratch:
        with served("20", "ledgers") as service:
            service.feed(200, 200)
            show(opened, browser, service)
            with browser.tab(service.url) as tab:
                tab.page.add_init_script(WATCHED)
                tab.open("/")
                show(live, tab, service)
                show(replayed, tab, service, given.ledgers)
        show(million, browser, Path(scratch, "data"))
    print("\n" + ", ".join(f"{name} {value}" for name, value in describe().items()))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
