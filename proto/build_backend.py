"""Builds the package: Python code out of the .proto files first, then all that maturin does.

`python proto/build_backend.py` makes the code alone, into python/stellarrow/proto/.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import maturin

PROTO = Path(__file__).resolve().parent
PACKAGE = PROTO.parent / "python" / "stellarrow" / "proto"


def generate() -> None:
    """Write a module and its stub for each .proto file."""
    import grpc_tools  # noqa: PLC0415  maturin's other hooks do without
    from grpc_tools import protoc  # noqa: PLC0415

    PACKAGE.mkdir(exist_ok=True)
    (PACKAGE / "__init__.py").write_text('"""Messages, generated from proto/*.proto: never edited."""\n')
    sources = [f"stellarrow/proto/{path.name}" for path in sorted(PROTO.glob("*.proto"))]
    root = PACKAGE.parents[1]
    # Mapped into the package, or the modules would import one another from outside of it.
    known = Path(grpc_tools.__file__).with_name("_proto")  # google/protobuf/*.proto
    argv = ["protoc", f"-Istellarrow/proto={PROTO}", f"-I{known}"]
    argv += [f"--python_out={root}", f"--pyi_out={root}", *sources]
    if code := protoc.main(argv):
        sys.exit(code)


def build_wheel(*arguments: Any, **named: Any) -> str:
    generate()
    return str(maturin.build_wheel(*arguments, **named))


def build_editable(*arguments: Any, **named: Any) -> str:
    generate()
    return str(maturin.build_editable(*arguments, **named))


build_sdist = maturin.build_sdist
get_requires_for_build_wheel = maturin.get_requires_for_build_wheel
get_requires_for_build_editable = maturin.get_requires_for_build_editable
get_requires_for_build_sdist = maturin.get_requires_for_build_sdist
prepare_metadata_for_build_wheel = maturin.prepare_metadata_for_build_wheel
prepare_metadata_for_build_editable = maturin.prepare_metadata_for_build_editable


if __name__ == "__main__":
    generate()
