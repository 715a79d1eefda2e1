"""Run the experiments made of public bug reports that lie beside the repository, one line each.

An experiment is a script: it exits with 0 where stellarrow is right, and its last line says what it saw.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SECONDS = 180  # for one experiment; none takes a tenth of it on a quiet machine


def main() -> int:
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("STELLARROW_SHARED", default)) / "cases"
    if not folder.is_dir():
        print(f"skipped: {folder} is not here; STELLARROW_SHARED names the folder that holds cases/")
        return 0
    names = sys.argv[1:]
    chosen = [one for one in sorted(folder.glob("*.py")) if not names or one.name.startswith(tuple(names))]
    wrong = [one for one in chosen if not is_right(one)]
    print(f"{len(chosen) - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong or not chosen else 0


def is_right(script: Path) -> bool:
    try:
        ended = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=SECONDS
        )
        code, said = ended.returncode, (ended.stdout.strip() or ended.stderr.strip()).splitlines()
    except subprocess.TimeoutExpired:
        code, said = 1, [f"it did not end within {SECONDS} s"]
    print(f"{'right' if code == 0 else 'WRONG'}  {script.stem}: {said[-1] if said else 'nothing was said'}")
    return code == 0


if __name__ == "__main__":
    raise SystemExit(main())
