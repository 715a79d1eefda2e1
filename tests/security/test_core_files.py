"""A process that holds secrets leaves no core file."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.process import Process, free_port
from security.certificates import Authority

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are read from /proc")

START = """
import ctypes, os, resource, signal, sys
from pathlib import Path
from stellarrow.config import Processor, read
from stellarrow.services.secured import Secured
from stellarrow.telemetry.metrics import Metrics

_, hard = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
flags = dict(pair.split("=", 1) for pair in sys.argv[1:])
Secured(read(Processor, flags, environ={}), Path("state"), Metrics())
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE)[0], flush=True)
os.kill(os.getpid(), signal.SIGSEGV)
"""


def crashed(folder: Path, *flags: str) -> tuple[str, int]:
    """Return what a service's process printed of its limits, and how its crash ended."""
    process = subprocess.Popen([sys.executable, "-c", START, *flags], stdout=subprocess.PIPE, cwd=folder)
    assert process.stdout
    told = process.stdout.read().decode()
    _, status = os.waitpid(process.pid, 0)
    process.returncode = status
    process.stdout.close()
    assert os.WTERMSIG(status) == signal.SIGSEGV
    return told.strip(), status


def test_a_service_with_keys_tokens_or_tls_leaves_none_when_it_crashes(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    tls = [f"{name}={path}" for name, path in authority.server_flags.items()]
    for flags in (["auth=api_key"], ["source_token=hunter2"], tls):
        told, status = crashed(tmp_path, *flags)
        assert (flags, told, os.WCOREDUMP(status)) == (flags, "0 0", False)
    assert not list(tmp_path.glob("core*"))


def test_a_service_without_a_secret_may_be_examined_as_before(tmp_path: Path) -> None:
    told, _ = crashed(tmp_path)
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    assert told == f"1 {hard}"


def test_the_limits_of_a_running_service_are_so(lake: Path, tmp_path: Path) -> None:
    port = free_port()
    words = ["source", "serve", "--source", str(lake), "--network", "synthetic", "--auth", "api_key"]
    words += ["--health-port", f":{port}", "--grpc-address", ":0", "--flight-address", ":0"]
    argv = [sys.executable, "-m", "stellarrow.cli", *words, "--state-dir", str(tmp_path / "state")]
    service = Process(argv, port=port, log=tmp_path / "log")
    try:
        limits = Path(f"/proc/{service.pid}/limits").read_text()
    finally:
        service.stop()
    assert any(line.split()[:5] == ["Max", "core", "file", "size", "0"] for line in limits.splitlines())
