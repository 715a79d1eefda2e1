"""Says what kind of machine and which tools made the figures."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
from player import cores


def describe() -> dict[str, str]:
    """Return the machine's class: figures mean little without it."""
    return {
        "cpu": cpu_model(),
        "cores": str(len(cores())),
        "memory": f"{memory_gb():.0f} GB",
        "system": f"{platform.system()} {platform.machine()}",
        "load before": load(),
        "python": platform.python_version(),
        "pyarrow": pa.__version__,
        "rustc": version("rustc", "--version"),
        "go": version("go", "version"),
    }


def load() -> str:
    """Return the mean of runnable processes in the last minute; near zero is a quiet machine."""
    return f"{os.getloadavg()[0]:.1f}"


def cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def version(tool: str, flag: str) -> str:
    found = shutil.which(tool)
    if found is None:
        return "not installed"
    return subprocess.run([found, flag], capture_output=True, text=True, check=False).stdout.strip()
