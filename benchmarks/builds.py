"""Builds the peers that need a compiler; one that cannot be built is reported with the reason."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
BUILD = HERE / ".build"
SECONDS = 1800  # a first build downloads and compiles everything


@dataclass(frozen=True, slots=True)
class Build:
    """A peer's program, or why there is none."""

    name: str
    argv: tuple[str, ...] = ()
    reason: str = ""


def build_all(say: Callable[[str], None]) -> dict[str, Build]:
    """Build every peer; the key is how the cases refer to it."""
    BUILD.mkdir(exist_ok=True)
    say("building the peers (the first time takes minutes)")
    return {
        "go": go_peer(),
        "crate": rust_peer("the stellar-xdr crate", "stellar-xdr-peer"),
        "crate-mimalloc": rust_peer(
            "the stellar-xdr crate with mimalloc", "stellar-xdr-peer-mimalloc", "mimalloc"
        ),
        "python": python_peer(),
    }


def go_peer() -> Build:
    program = BUILD / "go-peer"
    return compiled("the Go SDK", "go", ["build", "-o", str(program), "."], PEERS / "go", program)


def rust_peer(name: str, file: str, *features: str) -> Build:
    target = Path(os.environ.get("CARGO_TARGET_DIR", BUILD / "rust")) / "peers"
    arguments = [
        "build",
        "--release",
        "--locked",
        "--target-dir",
        str(target),
        "--features",
        ",".join(features),
    ]
    built = compiled(name, "cargo", arguments, PEERS / "rust", target / "release" / "stellar-xdr-peer")
    if not built.argv:
        return built
    return Build(name, (str(shutil.copy2(built.argv[0], BUILD / file)),))


def python_peer() -> Build:
    name = "the Python stellar-sdk"
    if importlib.util.find_spec("stellar_sdk") is None:
        return Build(name, reason="stellar-sdk is not installed; pip install stellar-sdk")
    return Build(name, (sys.executable, "-m", "peers.stellar_sdk_peer"))


def compiled(name: str, tool: str, arguments: list[str], folder: Path, program: Path) -> Build:
    """Run a build tool; what it says last is the reason where it fails."""
    found = shutil.which(tool)
    if found is None:
        return Build(name, reason=f"{tool} is not installed")
    try:
        done = subprocess.run(
            [found, *arguments], cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Build(name, reason=f"{tool} build took more than {SECONDS} s")
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        return Build(name, reason=f"{tool} build failed: {last.strip()}")
    return Build(name, (str(program),))
