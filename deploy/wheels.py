"""Build what a release uploads, the same bytes each time: python deploy/wheels.py FOLDER [TARGET …].

Wheels for every target that this Rust can build, a source distribution, a bill of materials of the Python
packages, and SHA256SUMS. zig compiles and links, so that a wheel needs no newer C library than its name says.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[1]
CRATE: Final = "stellarrow-python"
# What a wheel may be named for, by the target of Rust.
PLATFORMS: Final = {
    "x86_64-unknown-linux-gnu": "manylinux_2_28",
    "aarch64-unknown-linux-gnu": "manylinux_2_28",
    "x86_64-unknown-linux-musl": "musllinux_1_2",
    "aarch64-unknown-linux-musl": "musllinux_1_2",
}
TOOLS: Final = ("ziglang==0.17.1", "cyclonedx-bom==7.5.0")
LICENCES: Final = "THIRD_PARTY_LICENSES.txt"
# What the image and people who run services install.
EXTRAS: Final = ("sql", "lake", "rpc", "grpc", "postgres", "servers", "analytics", "otel")
_LICENCE_FILE: Final = re.compile(r"(?i)^(licen[cs]e|copying|notice|unlicense|copyright)")


def main() -> int:
    folder = Path(sys.argv[1]).resolve()
    os.environ.setdefault("SOURCE_DATE_EPOCH", commit_time())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tools = fetch_tools()
    subprocess.run([sys.executable, ROOT / "proto" / "build_backend.py"], check=True)
    for target in sys.argv[2:] or PLATFORMS:
        if not (sysroot() / "lib" / "rustlib" / target / "lib").is_dir():
            print(
                f"wheels: left out, as this Rust has no standard library for it: rustup target add {target}"
            )
            continue
        finish(build(target, folder, tools), third_party_licences(target))
    maturin("sdist", "--out", folder)
    write_bill_of_materials(folder, tools)
    write_sums(folder)
    print(*sorted(f"{path.stat().st_size:>10,}  {path.name}" for path in folder.iterdir()), sep="\n")
    return 0


def version() -> str:
    """Return the version, from the one place that has it."""
    return str(tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"])


def commit_time() -> str:
    """Return when what is built was committed, in seconds; a fixed time where there is no git."""
    words = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "946684800"


def sysroot() -> Path:
    return Path(subprocess.check_output(["rustc", "--print", "sysroot"], text=True).strip())


def fetch_tools() -> Path:
    """Install the tools of a release into a folder of their own, and return it."""
    folder = Path(sys.prefix) / "release-tools"
    stamp = folder / ".tools"
    if not stamp.is_file() or stamp.read_text() != " ".join(TOOLS):
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--upgrade", f"--target={folder}", *TOOLS], check=True)
        stamp.write_text(" ".join(TOOLS))
    return folder


def maturin(*words: str | Path, env: dict[str, str] | None = None) -> None:
    program = Path(sys.executable).with_name("maturin")
    subprocess.run([program, *words], cwd=ROOT, env={**os.environ, **(env or {})}, check=True)


def build(target: str, folder: Path, tools: Path) -> Path:
    """Build the wheel of a target. Paths of this machine are not left in it."""
    home = os.environ.get("CARGO_HOME", str(Path.home() / ".cargo"))
    remap = f"--remap-path-prefix={home}=/cargo --remap-path-prefix={ROOT}=/stellarrow"
    env = {
        "CARGO_ZIGBUILD_ZIG_PATH": str(tools / "ziglang" / "zig"),
        "CARGO_TARGET_DIR": os.environ.get("WHEEL_TARGET_DIR", str(ROOT / "target" / "wheels")),
        "RUSTFLAGS": remap,
    }
    scratch = folder / ".built"
    words = ["build", "--release", "--locked", "--strip", "--quiet", "--zig", "--target", target]
    maturin(*words, "--compatibility", PLATFORMS[target], "-i", sys.executable, "--out", scratch, env=env)
    (made,) = scratch.glob("*.whl")
    wheel = made.rename(folder / made.name)
    scratch.rmdir()
    return wheel


def third_party_licences(target: str) -> str:
    """Return the licences of all crates that are compiled into the wheel, each text once."""
    words = ["cargo", "metadata", "--locked", "--format-version=1", f"--filter-platform={target}"]
    known = json.loads(subprocess.check_output(words, cwd=ROOT))
    packages = {one["id"]: one for one in known["packages"]}
    nodes = {one["id"]: one for one in known["resolve"]["nodes"]}
    crates = [
        packages[name]
        for name in linked(nodes, next(i for i, one in packages.items() if one["name"] == CRATE))
    ]
    foreign = sorted((one for one in crates if one["source"]), key=lambda one: (one["name"], one["version"]))
    texts: dict[str, list[str]] = {}
    lines = ["What is compiled into this wheel beside stellarrow itself, and its licences.", ""]
    for crate in foreign:
        name = f"{crate['name']} {crate['version']}"
        lines.append(f"{name}: {crate['license'] or 'see its text'}")
        for text in licence_texts(Path(crate["manifest_path"]).parent):
            texts.setdefault(text, []).append(name)
    lines.append("The Rust standard library: MIT OR Apache-2.0")
    for text, names in texts.items():
        lines += ["", "=" * 80, "Licence text of: " + ", ".join(names), "=" * 80, "", text]
    return "\n".join(lines) + "\n"


def linked(nodes: dict[str, dict], root: str) -> set[str]:
    """Return the crates below one that are compiled in: neither for building alone, nor for tests."""
    found, ahead = {root}, [root]
    while ahead:
        for dependency in nodes[ahead.pop()]["deps"]:
            is_linked = any(one["kind"] is None for one in dependency["dep_kinds"])
            if is_linked and dependency["pkg"] not in found:
                found.add(dependency["pkg"])
                ahead.append(dependency["pkg"])
    return found


def licence_texts(folder: Path) -> Iterator[str]:
    """Yield the licences that a crate brings, those of C code inside it too."""
    for path in sorted(folder.rglob("*")):
        is_text = path.suffix not in (".rs", ".c", ".h", ".py") and path.is_file()
        if is_text and _LICENCE_FILE.match(path.name) and (text := path.read_text(errors="replace").strip()):
            yield text


def finish(wheel: Path, licences: str) -> None:
    """Add the licences, take this machine's paths out of the bill of materials, and pack in one fixed way."""
    with zipfile.ZipFile(wheel) as packed:
        held = {name: packed.read(name) for name in packed.namelist()}
    (info,) = {name.split("/")[0] for name in held if name.split("/")[0].endswith(".dist-info")}
    held[f"{info}/licenses/{LICENCES}"] = licences.encode()
    text = held[f"{info}/METADATA"].decode()
    held[f"{info}/METADATA"] = text.replace(
        "License-File: LICENSE\n", f"License-File: LICENSE\nLicense-File: {LICENCES}\n", 1
    ).encode()
    for name in [name for name in held if "/sboms/" in name]:
        held[name] = held[name].replace(f"file://{ROOT}".encode(), b"file:///stellarrow")
    record = f"{info}/RECORD"
    held.pop(record)
    lines = [f"{name},sha256={digest(data)},{len(data)}" for name, data in sorted(held.items())]
    held[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    pack(wheel, held, last=record)


def digest(data: bytes) -> str:
    """Return a digest as RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def pack(wheel: Path, held: dict[str, bytes], *, last: str) -> None:
    moment = time.gmtime(max(int(os.environ["SOURCE_DATE_EPOCH"]), 315_532_800))[:6]  # zip begins in 1980
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name in sorted(held, key=lambda name: (name == last, name)):
            entry = zipfile.ZipInfo(name, moment)
            entry.external_attr = (0o100755 if name.endswith(".so") else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, held[name])


def locked_packages() -> list[str]:
    """Return the Python packages that EXTRAS bring, each at the version that development tests with."""
    lock = (ROOT / "requirements-dev.lock").read_text().split()
    pins = {canonicalize_name(line.partition("==")[0]): line for line in lock}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    ahead = [*project["dependencies"], *(one for extra in EXTRAS for one in optional[extra])]
    found: dict[str, str] = {}
    while ahead:
        wanted = Requirement(ahead.pop())
        name = canonicalize_name(wanted.name)
        if name not in found:
            found[name] = pins[name]
            below = map(Requirement, metadata.requires(name) or ())
            ahead += [str(one) for one in below if is_installed(one, wanted.extras)]
    return sorted(found.values(), key=str.lower)


def is_installed(requirement: Requirement, extras: Iterable[str]) -> bool:
    """Tell whether a requirement holds on this kind of machine, with none or one of these extras."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def write_bill_of_materials(folder: Path, tools: Path) -> None:
    listed = folder / "requirements.txt"
    listed.write_text("\n".join(locked_packages()) + "\n")
    made = folder / f"stellarrow-{version()}-python.cdx.json"
    words = [
        sys.executable,
        "-m",
        "cyclonedx_py",
        "requirements",
        listed,
        "--output-reproducible",
        "-o",
        made,
    ]
    env = {**os.environ, "PYTHONPATH": str(tools)}
    subprocess.run(words, env=env, check=True, capture_output=True)


def write_sums(folder: Path) -> None:
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in sorted(folder.iterdir())
    ]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
