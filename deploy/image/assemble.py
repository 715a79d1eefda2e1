"""Put together the root of the image: assemble.py FOLDER. Runs in the second stage of the Containerfile.

Nothing is in it but Python, what /opt/stellarrow has, the shared libraries that these name, certificates, and
a shell for `sh -c`. There is no package manager, and no program that the services do not use.
"""

from __future__ import annotations

import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

INSTALLED: Final = Path("/opt/stellarrow")
# Of the standard library: what builds, tests, draws windows and installs.
LEFT_OUT: Final = (
    *(
        "test",
        "tests",
        "idlelib",
        "tkinter",
        "turtledemo",
        "turtle.py",
        "ensurepip",
        "lib2to3",
        "distutils",
        "pydoc_data",
    ),
    *(
        "config-*",
        "site-packages",
        "dist-packages",
        "__pycache__",
        "*.a",
        "_test*.so",
        "_ctypes_test*",
        "_tkinter*",
    ),
    *(
        "xxlimited*",
        "_dbm*",
        "_gdbm*",
        "nis*.so",
        "ossaudiodev*",
        "audioop*",
        "_curses*",
        "_codecs_*",
        "spwd*",
        "_crypt*",
    ),
)
# Prints the files of all modules that an import of each of ours loads.
IMPORT_ALL: Final = """
import importlib, pkgutil, sys
import stellarrow
for one in pkgutil.walk_packages(stellarrow.__path__, "stellarrow.", onerror=lambda _: None):
    try:
        if not one.name.endswith("__main__"):
            importlib.import_module(one.name)
    except Exception:
        pass  # an extra that is not here
files = {str(getattr(module, "__file__", None)) for module in [*sys.modules.values()]}
print(*files, sep="\\n")
"""
# As they lie in the installer: certificates, how names are resolved, what this Debian is.
AS_THEY_ARE: Final = (
    "/etc/ssl",
    "/usr/lib/ssl",
    "/usr/share/ca-certificates",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/os-release",
    "/usr/lib/os-release",
    "/etc/debian_version",
)
FOLDERS: Final = {"tmp": 0o1777, "var/tmp": 0o1777, "run": 0o755, "proc": 0o555, "sys": 0o555, "dev": 0o755}
TEXTS: Final = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nstellarrow:x:65532:65532::/var/lib/stellarrow:/bin/sh\n",
    "etc/group": "root:x:0:\nstellarrow:x:65532:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def main() -> int:
    root = Path(sys.argv[1])
    root.mkdir(parents=True)
    for name in ("bin", "lib", "lib64", "sbin"):
        if (link := Path("/", name)).is_symlink():  # Debian keeps these below /usr
            (root / name).symlink_to(link.readlink())
            (root / link.readlink()).mkdir(parents=True, exist_ok=True)
    shutil.copytree(
        INSTALLED,
        root / INSTALLED.relative_to("/"),
        symlinks=True,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    programs = [python(root), *shell(root)]
    compile_modules(root)
    libraries = {path for path in needed([*programs, *binaries(root)]) if not path.is_relative_to(root)}
    for library in sorted(libraries):
        place(root, library)
    for name in AS_THEY_ARE:
        place(root, Path(name))
    describe(root, [*programs, *libraries])
    finish(root)
    return 0


def place(root: Path, path: Path) -> Path:
    """Copy a file or a folder to where it lies, links as they are; what is not there is left out."""
    there = root / path.relative_to("/")
    if path.is_symlink() or path.is_file():
        # Through links of folders, such as /lib: where a file really lies.
        there = root / path.parent.resolve().relative_to("/") / path.name
        there.parent.mkdir(parents=True, exist_ok=True)
        if not there.is_symlink() and not there.exists():
            shutil.copy2(path, there, follow_symlinks=False)
        if path.is_symlink():
            place(root, path.parent / path.readlink())
    elif path.is_dir():
        shutil.copytree(path, there, symlinks=True, dirs_exist_ok=True)
    return there


def python(root: Path) -> Path:
    """Place the interpreter, its links and its standard library; return its path."""
    base = Path(sysconfig.get_config_var("BINDIR"))
    for name in ("python3", f"python3.{sys.version_info.minor}", "python"):
        place(root, base / name)
    for library in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}:
        there = root / Path(library).relative_to("/")
        ignore = shutil.ignore_patterns(*LEFT_OUT)
        shutil.copytree(library, there, ignore=ignore, dirs_exist_ok=True)  # links become what they lead to
    return (base / "python3").resolve()


def compile_modules(root: Path) -> None:
    """Compile what commands load; what they never do would take a tenth of the image, compiled."""
    words = [INSTALLED / "bin" / "python", "-c", IMPORT_ALL]
    loaded = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in sorted(loaded):
        there = root / name.lstrip("/")
        if name.endswith(".py") and there.is_file():
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile(str(there), dfile=name, doraise=True, invalidation_mode=mode)


def shell(root: Path) -> Iterator[Path]:
    """Place a shell: the chart's backfill begins with `sh -c`."""
    if (found := shutil.which("dash")) is not None:
        place(root, Path(found))
        link = root / Path("/bin").resolve().relative_to("/") / "sh"
        if not link.is_symlink():
            link.symlink_to("dash")
        yield Path(found)


def binaries(root: Path) -> Iterator[Path]:
    yield from (path for path in root.rglob("*.so*") if path.is_file() and not path.is_symlink())


def needed(programs: Iterable[Path]) -> Iterator[Path]:
    """Yield the libraries of the system that programs and libraries are linked with, as they name them."""
    for program in programs:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
        for found in re.findall(r"(?:=> |^\s*)(/\S+) \(0x", listed, re.MULTILINE):
            path = Path(os.path.normpath(found))
            if not path.is_relative_to(INSTALLED):
                yield path


def describe(root: Path, files: Iterable[Path]) -> None:
    """Say which packages of Debian are in it, where scanners look, and under which licences."""
    names = [
        str(one)
        for path in files
        for one in {
            path,
            path.resolve(),
            Path("/lib") / path.resolve().relative_to("/usr/lib")
            if path.resolve().is_relative_to("/usr/lib")
            else path,
        }
    ]
    found = subprocess.run(["dpkg-query", "--search", *names], capture_output=True, text=True, check=False)
    packages = sorted(
        {line.partition(": ")[0].split(",")[0] for line in found.stdout.splitlines()} | {"ca-certificates"}
    )
    status = root / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True, exist_ok=True)
    known = subprocess.run(["dpkg-query", "--status", *packages], capture_output=True, text=True, check=False)
    status.write_text(known.stdout)
    for package in packages:
        place(root, Path("/usr/share/doc", package.partition(":")[0], "copyright"))


def finish(root: Path) -> None:
    for name, text in TEXTS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name, mode in FOLDERS.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name).chmod(mode)
    # Arrow asks the system for time zones: those of the package tzdata.
    (zones,) = INSTALLED.glob("lib/python3*/site-packages/tzdata/zoneinfo")
    share = root / "usr/share/zoneinfo"
    share.parent.mkdir(parents=True, exist_ok=True)
    share.symlink_to(zones)


if __name__ == "__main__":
    sys.exit(main())
