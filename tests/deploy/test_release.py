"""What a release uploads: the same bytes each time, with licences and bills of materials."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

import stellarrow

ROOT = Path(__file__).parents[2]
SECONDS = 3_600


def load_wheels() -> Any:
    spec = importlib.util.spec_from_file_location("wheels", ROOT / "deploy" / "wheels.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WHEELS = load_wheels()


def made_up(path: Path, *, moment: tuple[int, int, int, int, int, int], backwards: bool) -> Path:
    """Write a small wheel, as a builder at some time and in some order may."""
    info = "stellarrow-0.1.0.dist-info"
    held = {
        "stellarrow/__init__.py": b"",
        "stellarrow/_core.abi3.so": b"\x7fELF",
        f"{info}/METADATA": b"Metadata-Version: 2.4\nName: stellarrow\nLicense-File: LICENSE\n\nText",
        f"{info}/licenses/LICENSE": b"ours",
        f"{info}/sboms/stellarrow-python.cyclonedx.json": f'{{"ref": "path+file://{ROOT}/crates"}}'.encode(),
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w") as packed:
        for name in sorted(held, reverse=backwards):
            packed.writestr(zipfile.ZipInfo(name, moment), held[name])
    return path


def test_a_wheel_is_packed_to_the_same_bytes_whenever_and_in_whatever_order_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    one = made_up(tmp_path / "a.whl", moment=(2020, 1, 1, 0, 0, 0), backwards=False)
    other = made_up(tmp_path / "b.whl", moment=(2026, 2, 3, 4, 5, 6), backwards=True)
    for wheel in (one, other):
        WHEELS.finish(wheel, "theirs")
    assert one.read_bytes() == other.read_bytes()


def test_a_finished_wheel_has_all_licences_a_true_record_and_no_path_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    wheel = made_up(tmp_path / "a.whl", moment=(2020, 1, 1, 0, 0, 0), backwards=False)
    WHEELS.finish(wheel, "theirs")
    check_record(wheel)
    with zipfile.ZipFile(wheel) as packed:
        info = "stellarrow-0.1.0.dist-info"
        assert packed.read(f"{info}/licenses/{WHEELS.LICENCES}") == b"theirs"
        assert f"License-File: {WHEELS.LICENCES}" in packed.read(f"{info}/METADATA").decode()
        assert [name for name in packed.namelist() if str(ROOT).encode() in packed.read(name)] == []


def check_record(wheel: Path) -> None:
    """Check every file of a wheel against RECORD."""
    with zipfile.ZipFile(wheel) as packed:
        (record,) = (name for name in packed.namelist() if name.endswith("/RECORD"))
        rows = [*csv.reader(io.StringIO(packed.read(record).decode()))]
        assert {row[0] for row in rows} == set(packed.namelist())
        for name, digest, size in rows:
            if name != record:
                data = packed.read(name)
                made = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                assert (digest, int(size)) == (f"sha256={made}", len(data)), name


def test_licences_are_of_every_crate_that_is_compiled_in_and_of_the_c_code_inside() -> None:
    target = "x86_64-unknown-linux-gnu"
    text = WHEELS.third_party_licences(target)
    for name in ("arrow-array ", "pyo3 ", "sha2 ", "zstd-sys ", "libmimalloc-sys "):
        assert f"\n{name}" in text
    for owner in ("Meta Platforms", "Microsoft", "Apache License"):
        assert owner in text
    assert "\nstellar-xdr " not in text, "it is of the tests"
    assert WHEELS.third_party_licences(target) == text


def test_the_packages_that_an_image_has_are_those_that_were_tested() -> None:
    lock = set((ROOT / "requirements-dev.lock").read_text().split())
    listed = WHEELS.locked_packages()
    assert set(listed) <= lock
    names = {line.partition("==")[0].lower() for line in listed}
    assert {
        "pyarrow",
        "grpcio",
        "obstore",
        "psycopg",
        "psycopg-binary",
        "starlette",
        "uvicorn",
        "h11",
    } <= names
    assert names & {"pytest", "ruff", "mypy"} == set()


def test_the_image_installs_the_extras_that_the_bill_of_materials_is_of() -> None:
    script = (ROOT / "deploy" / "image" / "install.sh").read_text()
    assert f"extras={','.join(WHEELS.EXTRAS)}\n" in script


def test_the_version_is_in_one_place() -> None:
    assert WHEELS.version() == stellarrow.__version__
    assert "version = " not in (ROOT / "pyproject.toml").read_text().partition("[project.optional")[0]
    for crate in (ROOT / "crates").glob("*/Cargo.toml"):
        assert "version.workspace = true" in crate.read_text(), crate


@pytest.mark.slow
def test_make_wheel_makes_a_wheel_that_two_builds_agree_on_and_everything_beside_it(tmp_path: Path) -> None:
    target = "x86_64-unknown-linux-gnu"
    made = []
    for number in range(2):
        folder = tmp_path / f"dist{number}"
        environ = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
        words = [sys.executable, str(ROOT / "deploy" / "wheels.py"), str(folder), target]
        done = subprocess.run(
            words, env=environ, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        assert done.returncode == 0, done.stdout + done.stderr
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert made[0] == made[1]
    (wheel,) = (tmp_path / "dist0").glob("*.whl")
    assert wheel.name.endswith("cp311-abi3-manylinux_2_28_x86_64.whl")
    check_record(wheel)
    with zipfile.ZipFile(wheel) as packed:
        assert "stellarrow/py.typed" in packed.namelist()
        (bill,) = (name for name in packed.namelist() if "/sboms/" in name)
        assert json.loads(packed.read(bill))["bomFormat"] == "CycloneDX"
        assert [name for name in packed.namelist() if str(ROOT).encode() in packed.read(name)] == []
    (bill_of_python,) = (tmp_path / "dist0").glob("*-python.cdx.json")
    named = {one["name"].lower() for one in json.loads(bill_of_python.read_text())["components"]}
    assert {"pyarrow", "grpcio"} <= named


@pytest.mark.slow
def test_the_source_distribution_has_all_that_building_takes(tmp_path: Path) -> None:
    maturin = Path(sys.executable).with_name("maturin")
    words = [str(maturin), "sdist", "--out", str(tmp_path)]
    subprocess.run(words, cwd=ROOT, capture_output=True, check=True, timeout=SECONDS)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    (source,) = (path for path in tmp_path.iterdir() if path.is_dir())
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    environ = {**os.environ, "CARGO_TARGET_DIR": os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))}
    done = subprocess.run(
        [*pip, "--wheel-dir", str(tmp_path / "made"), str(source)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (tmp_path / "made").glob("*.whl")
    assert "stellarrow/proto/control_service_pb2.py" in zipfile.ZipFile(wheel).namelist()
