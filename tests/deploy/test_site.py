"""The documentation site: built strictly, complete, and made of what the code says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

import stellarrow as sa
from stellarrow.cli.app import stellarrow
from stellarrow.config import SERVICES
from stellarrow.telemetry.metrics import Metrics

ROOT = Path(__file__).parents[2]
# Pages that somebody who is led through the documentation must come to.
KINDS = ("Tutorial", "How to", "Reference", "Explanation")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make check` builds it."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def text_of(page: Path) -> str:
    return re.sub(r"<[^>]+>", "", page.read_text())


def below(name: str, command: click.Command) -> Iterator[str]:
    yield name
    if isinstance(command, click.Group):
        context = click.Context(command)
        for verb in command.list_commands(context):
            found = command.get_command(context, verb)
            assert found
            yield from below(f"{name} {verb}", found)


def test_the_page_of_commands_has_every_command_and_its_options(site: Path) -> None:
    text = text_of(site / "cli.html")
    commands = [*below("stellarrow", stellarrow)]
    assert len(commands) > 30
    assert [name for name in commands if name not in text] == []
    for option in ("--on-error stop|quarantine", "--ledgers RANGES", "--database-url"):
        assert option in text


def test_the_list_of_metrics_has_every_metric_of_the_code(site: Path) -> None:
    text = (site / "metrics_list.html").read_text()
    names = {line.split()[2] for line in Metrics().text().decode().splitlines() if line.startswith("# TYPE")}
    names = {name for name in names if not name.endswith("_created")}
    assert len(names) > 15
    assert [name for name in sorted(names) if f"<code>{name}</code>" not in text] == []


def test_every_table_and_every_service_has_its_page_or_section(site: Path) -> None:
    for table in sa.tables():
        assert (site / "tables" / f"{table.name}.html").is_file()
    settings = (site / "settings.html").read_text()
    assert [name for name in SERVICES if f'id="{name}"' not in settings] == []


def test_every_page_can_be_reached_from_the_first(site: Path) -> None:
    first = (site / "index.html").read_text()
    pages = {page.relative_to(site).as_posix() for page in site.rglob("*.html")} - {"404.html"}
    assert len(pages) > 25
    assert [page for page in sorted(pages - {"index.html"}) if f'href="{page}"' not in first] == []


def test_the_pages_stand_under_what_a_reader_wants_of_them() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    assert [next(iter(entry)) for entry in nav if isinstance(entry, dict)] == [*KINDS]


def test_nothing_of_the_site_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        fetched = re.findall(
            r"<(?:script|link|img)[^>]+(?:src|href)=\"?(https?://[^\" >]+)", page.read_text()
        )
        assert [url for url in fetched if "canonical" not in url] == [], page
