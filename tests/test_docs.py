"""The pages say what the core says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from stellarrow.sql.functions import NAMES
from stellarrow.sql.saved_queries import queries

DOCS = Path(__file__).parents[1] / "docs"
ROOT = DOCS.parent


def test_the_pages_of_tables_and_settings_are_up_to_date() -> None:
    checked = subprocess.run(
        [sys.executable, DOCS / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_readme_names_every_table() -> None:
    readme = (DOCS.parent / "README.md").read_text()
    pages = sorted(page.stem for page in (DOCS / "tables").glob("*.md"))
    assert [page for page in pages if f"docs/tables/{page}.md" not in readme] == []


def test_the_page_of_queries_names_every_function_and_every_query() -> None:
    page = (DOCS / "queries.md").read_text()
    assert [
        name for name in (*NAMES, *(f"@{one.name}" for one in queries())) if f"`{name}`" not in page
    ] == []


def test_every_file_that_architecture_names_is_there() -> None:
    folders = [ROOT, ROOT / "python" / "stellarrow", ROOT / "crates" / "core" / "src"]
    known = [str(path) for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".rs")]
    named = re.findall(r"`([\w/]+\.(?:py|rs))`", (ROOT / "ARCHITECTURE.md").read_text())
    assert len(named) > 40
    assert [one for one in named if not any(path.endswith(f"/{one}") for path in known)] == []
