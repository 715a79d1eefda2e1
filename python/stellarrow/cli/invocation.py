"""How this program was called, so that advice can be typed as it stands."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

_NAME: Final = "stellarrow"


def typed_program() -> str:
    """Return what a shell here runs this program by: its name where the PATH has it, else where it lies."""
    called = Path(sys.argv[0])
    found = shutil.which(_NAME)
    if called.name == "__main__.py" and called.parent.name == "cli":
        return f"{shlex.quote(_near(Path(sys.executable)))} -m stellarrow.cli"
    if called.name != _NAME or not called.exists() or (found and called.samefile(found)):
        return _NAME
    return shlex.quote(_near(called))


def _near(program: Path) -> str:
    """Return a path below the folder one stands in from there, any other as it is."""
    try:
        return str(program.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(program)
