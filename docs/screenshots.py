"""Take the pictures of the web page that README and the pages show: python docs/screenshots.py.

It makes ledgers, serves them on 127.0.0.1, and opens the page in the browser that `make servers` fetches.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Final

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from analytics.browsing import started
from fakes.process import free_port

HERE: Final = Path(__file__).parent
_SECONDS: Final = 60.0
_LEDGERS: Final = 600
_PICTURES: Final = {
    "page.jpg": ("/", {"width": 1280, "height": 860}, "light"),
    "page_dark.jpg": ("/", {"width": 1280, "height": 860}, "dark"),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / "lake"
        run = [sys.executable, "-m", "stellarrow.cli"]
        subprocess.run(
            [*run, "synth", "--ledgers", str(_LEDGERS), "--size", "60KB", "--out", lake], check=True
        )
        rest, socket, health = (f"127.0.0.1:{free_port()}" for _ in range(3))
        argv = [*run, "analytics", "serve", "--source", lake, "--network", "synthetic", "--rest-port", rest]
        argv += [
            "--websocket-port",
            socket,
            "--flight-address",
            "127.0.0.1:0",
            "--health-port",
            health,
            "--state-dir",
            Path(folder) / "state",
        ]
        server = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        try:
            wait_for(f"http://{rest}/v1/ledgers/{_LEDGERS + 1}")
            take(f"http://{rest}")
        finally:
            server.terminate()
            server.wait()


def wait_for(url: str) -> None:
    """Return once a page is there."""
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def take(url: str) -> None:
    """Write every picture."""
    with started() as browser:
        for name, (path, size, scheme) in _PICTURES.items():
            with browser.tab(url, viewport=size, color_scheme=scheme) as tab:
                tab.open(path)
                tab.page.locator(".chart canvas").last.wait_for()
                tab.page.screenshot(path=HERE / name, type="jpeg", quality=82)


if __name__ == "__main__":
    main()
