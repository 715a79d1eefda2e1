"""`stellarrow watch` as people see it, on terminals of several widths, and as programs read it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from stellarrow.cli.output import figures_page
from stellarrow.cli.output.sessions_page import drawn

IDS = ("fb625318-18f3-4b25-b63d-c133e2711e85", "7ab8e7d9-faea-440f-9e57-b93d637387e7")
SHORT = ("fb62…1e85", "7ab8…87e7")
LONG_MESSAGE = (
    "paused: grpc://ledgers.example.org:50053 does not answer (failed to connect to all addresses; last"
    " error: Connection refused): is it started there?"
)


def session(identity: str, **other: Any) -> dict[str, Any]:
    tables = ("contract_data@1.0", "contract_data@2.0", "contract_events", "token_transfers", "ledgers")
    return {
        "id": identity,
        "status": "RUNNING",
        "first": 58_752_000,
        "last": None,
        "current": 58_762_123,
        "message": "",
        "lag": 1234.5,
        "entries_per_second": 123_456.7,
        "entries": 1_234_567_890,
        "bytes": 12_345_678_901,
        "spool_bytes": 4_294_967_296,
        "rows": dict.fromkeys(tables, 1_234_567_890),
        "readers": [
            {"name": "ipv4:127.0.0.1:54321 contract_data@2.0 12345678", "behind": 1_234_567},
        ],
        **other,
    }


def summary(**other: Any) -> dict[str, Any]:
    """Figures as /analytics tells them, each as large as they get."""
    names = ("transfers", "transactions", "mints", "burns", "events", "failed", "changes", "ledgers")
    row: dict[str, Any] = dict.fromkeys(names, 1_234_567_890)
    row |= {"senders": 98_765, "senders_exact": False, "receivers": 4_321, "receivers_exact": True}
    row |= {"fees_charged": "12345678901234", "fees_refunded": "1234567890123", "volume": "9" * 25}
    row |= {"transactions_per_second": 234.56, "mean_interval_us": 5_678_901.0}
    windows = dict.fromkeys(("1m", "5m", "1h", "24h", "7d", "total"), row)
    assets = ["native", f"USDC:G{'A' * 55}", f"ABCDEFGHIJKL:G{'B' * 55}", None]
    return {
        "session": IDS[0],
        "lag": 3.2,
        "last_ledger": 58_762_123,
        "bytes": 12_345_678,
        "windows": dict.fromkeys(("network", "transfers", "events", "storage"), windows),
        "assets": [row | {"asset": one} for one in assets],
        "contracts": [row | {"contract_id": f"C{'D' * 55}"}, row | {"contract_id": None}],
        **other,
    }


Serve = Callable[[list[dict[str, Any]]], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve sessions as a processor's HTTP does; return its port."""
    servers: list[ThreadingHTTPServer] = []

    def start(sessions: list[dict[str, Any]]) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(summary() if self.path == "/analytics" else sessions).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class Screen:
    """A program on a terminal of so many columns, and all it has written."""

    def __init__(self, *words: str, columns: int) -> None:
        self.keyboard, theirs = os.openpty()
        environ = {**os.environ, "COLUMNS": str(columns), "LINES": "50", "TERM": "xterm"}
        argv = [sys.executable, "-m", "stellarrow.cli", *words]
        self.process = subprocess.Popen(
            argv, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True
        )
        os.close(theirs)
        self.written = b""
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        try:
            while got := os.read(self.keyboard, 65_536):
                self.written += got
        except OSError:
            return  # the program has ended

    def press(self, key: str) -> None:
        os.write(self.keyboard, key.encode())

    def await_shown(self, text: str) -> None:
        deadline = time.monotonic() + 60
        while text not in self.written.decode(errors="replace"):
            assert time.monotonic() < deadline, self.written
            time.sleep(0.02)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reading.join(5)
        os.close(self.keyboard)


@contextmanager
def watching(port: int, *words: str, columns: int = 80) -> Iterator[Screen]:
    with closing(Screen("watch", "--at", f":{port}", *words, columns=columns)) as screen:
        yield screen


def page(sessions: list[dict[str, Any]], width: int, *, whole_ids: bool = False) -> list[str]:
    from rich.console import Console  # noqa: PLC0415

    console = Console(width=width, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    with closing(console.file):
        console.print(drawn(sessions, width, whole_ids=whole_ids))
    return console.export_text().splitlines()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_every_number_is_whole_at_any_width(width: int) -> None:
    sessions = [session(IDS[0], message=LONG_MESSAGE), session(IDS[1])]
    lines = page(sessions, width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert text.count("1,234,567,890") == 2 + 2 * 5
    assert text.count("58762123") == 2
    assert all(short in text for short in SHORT)
    assert "1,234,567" in lines[-1]


def test_sessions_without_tables_and_readers_are_shown() -> None:
    lines = page([session(IDS[0], readers=[], rows={})], 80)
    assert lines[-1] == "session  0 readers  ledgers behind"
    assert page([], 80) == ["no session yet: StartProcessing, or --start-ledger, starts one"]


def test_what_has_no_room_is_named() -> None:
    assert any(line.startswith("no room for: read") for line in page([session(IDS[0])], 80))
    assert not any("no room" in line for line in page([session(IDS[0])], 120))


def test_a_message_is_wrapped_between_words_below_its_session() -> None:
    lines = page([session(IDS[0], message=LONG_MESSAGE)], 80)
    at = next(at for at, line in enumerate(lines) if "paused:" in line)
    assert lines[at - 1].startswith(SHORT[0])
    wrapped = [line for line in lines[at : at + 3] if line.startswith("  ")]
    assert " ".join(line.strip() for line in wrapped) == LONG_MESSAGE


def test_a_dozen_sessions_fit_below_one_another() -> None:
    lines = page([session(f"{at:04}{IDS[0][4:]}") for at in range(12)], 80)
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("token_transfers") for line in lines) == 3


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_ids_are_short_and_q_quits(serve: Serve, columns: int) -> None:
    with watching(serve([session(IDS[0])]), columns=columns) as screen:
        screen.await_shown(SHORT[0])
        screen.await_shown("ledgers behind")
        screen.press("q")
        assert screen.process.wait(10) == 0
        assert IDS[0].encode() not in screen.written


def test_ctrl_c_is_quiet(serve: Serve) -> None:
    with watching(serve([session(IDS[0])])) as screen:
        screen.await_shown("ledgers behind")
        screen.process.send_signal(signal.SIGINT)
        assert screen.process.wait(10) == 130
        screen._reading.join(5)
        assert b"error" not in screen.written
        assert b"Traceback" not in screen.written


def test_piped_ids_and_lines_are_whole(serve: Serve) -> None:
    port = serve([session(IDS[0], message=LONG_MESSAGE), session(IDS[1])])
    argv = [sys.executable, "-m", "stellarrow.cli", "watch", "--once", "--at", f":{port}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30)
    assert all(done.stdout.count(one) == 3 for one in IDS)
    assert LONG_MESSAGE in done.stdout
    assert "…" not in done.stdout


def figures(width: int, *, whole_ids: bool = False, shown: dict[str, Any] | None = None) -> list[str]:
    from rich.console import Console  # noqa: PLC0415

    console = Console(width=width, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    with closing(console.file):
        page = figures_page.drawn(summary() if shown is None else shown, width, whole_ids=whole_ids)
        console.print(page)
    return console.export_text().splitlines()


@pytest.mark.parametrize("width", [80, 100, 140, 200])
def test_figures_are_whole_at_any_width_and_what_has_no_room_is_named(width: int) -> None:
    lines = figures(width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "session fb62…1e85 up to ledger 58762123, which closed 3.2 s ago" in text
    assert "12,345,678,901,234" in text
    assert "USDC:GAAA…AAAA" in text
    left_out = [line for line in lines if line.startswith("no room for: ")]
    assert bool(left_out) is (width < 140)
    assert ("7d" in lines[2]) is not any("7d" in line for line in left_out)


def test_an_estimate_is_marked_and_an_exact_figure_is_not() -> None:
    text = "\n".join(figures(200))
    assert "~98,765" in text
    assert "~4,321" not in text


def test_figures_that_are_not_counted_are_left_out() -> None:
    few = {"network": summary()["windows"]["network"]}
    shown = {key: value for key, value in summary(windows=few).items() if key not in ("assets", "contracts")}
    text = "\n".join(figures(80, shown=shown))
    assert "close interval" in text
    assert "transfers" not in text
    assert figures(80, shown={})[0].startswith("no figures yet: ")


def test_keys_change_the_page_and_q_quits(serve: Serve) -> None:
    with watching(serve([session(IDS[0])])) as screen:
        screen.await_shown("ledgers behind")
        screen.press("a")
        screen.await_shown("close interval")
        screen.written = b""
        screen.press("xs")
        screen.await_shown("ledgers behind")
        screen.press("q")
        assert screen.process.wait(10) == 0


def test_piped_the_page_that_is_asked_for_has_whole_ids(serve: Serve) -> None:
    argv = [sys.executable, "-m", "stellarrow.cli", "watch", "--once", "--page", "analytics"]
    argv += ["--at", f":{serve([])}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30)
    assert IDS[0] in done.stdout
    assert f"USDC:G{'A' * 55}" in done.stdout
    assert "…" not in done.stdout
