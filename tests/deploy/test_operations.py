"""Every step of docs/operations.md, run as it is printed: what was backed up, lost and restored goes on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo

import stellarrow as sa
from fakes.postgres import web_url
from stellarrow import registry
from stellarrow.processor.processor import Options, Processor
from stellarrow.protocols import HeldTable
from stellarrow.sinks.postgres.embedded import find_binaries
from stellarrow.sources.files import FileSource

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
TABLES = ["ledgers", "contract_events"]
SECONDS = 120.0
HALF, WHOLE = "100:119", "100:139"


def steps(section: str, of: str) -> list[str]:
    """Return the blocks of a part of the page, such as of "PostgreSQL" in "Restore"."""
    (chapter,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    (part,) = re.findall(rf"^### {of}\n(.*?)(?=^### |\Z)", chapter, re.DOTALL | re.MULTILINE)
    blocks = re.findall(r"^```sh\n(.*?)^```", part, re.DOTALL | re.MULTILINE)
    assert blocks
    return blocks


class Operator:
    """Somebody with a shell and the variables that the page names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir()
        shim = programs / "stellarrow"
        shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m stellarrow.cli "$@"\n')
        shim.chmod(0o755)
        binaries = find_binaries()
        self.path = f"{programs}:{binaries}:{os.environ['PATH']}"
        self.backup, self.tables, self.state = (folder / name for name in ("backup", "tables", "state"))
        self.variables = {
            "BACKUP": str(self.backup),
            "LAKE": str(folder / "lake"),
            "TABLES": str(self.tables),
            "STATE_DIR": str(self.state),
            "NETWORK": "synthetic",
        }
        self.backup.mkdir()

    def does(self, section: str, of: str) -> None:
        for block in steps(section, of):
            environ = {**os.environ, **self.variables, "PATH": self.path}
            done = subprocess.run(
                ["/bin/sh", "-eu", "-c", block],
                cwd=self.folder,
                env=environ,
                capture_output=True,
                text=True,
                check=False,
                timeout=SECONDS,
            )
            assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"

    def extract(self, ledgers: str, to: str) -> None:
        sa.run(self.folder / "lake", tables=TABLES, sinks=[to], network="synthetic", ledgers=ledgers)


@pytest.fixture
def operator(make_lake: object, tmp_path: Path) -> Operator:
    make_lake()  # type: ignore[operator]
    return Operator(tmp_path)


def held(location: str) -> dict[str, tuple[str, list[dict[str, object]]]]:
    """Return the coverage and the rows of every table."""
    tables: list[HeldTable] = list(registry.sink_entry(location).load().held(location))
    return {one.name: (str(one.ledgers), sorted(rows(one), key=repr)) for one in tables}


def rows(table: HeldTable) -> Iterator[dict[str, object]]:
    for batch in table.read(sa.schema(table.name).names, sa.LedgerRange.parse(WHOLE)):
        yield from batch.to_pylist()


def test_folders_of_tables_are_backed_up_restored_and_continued(operator: Operator, tmp_path: Path) -> None:
    operator.extract(HALF, f"parquet:{operator.tables}")
    operator.does("Back up", "Folders of tables")
    assert (operator.backup / "lake" / ".config.json").exists()
    operator.extract(WHOLE, f"parquet:{operator.tables}")
    shutil.rmtree(operator.tables)
    operator.does("Restore", "Folders of tables")
    operator.extract(WHOLE, f"parquet:{tmp_path / 'fresh'}")
    found = held(f"parquet:{operator.tables}")
    assert {ledgers for ledgers, _ in found.values()} == {WHOLE}
    assert found == held(f"parquet:{tmp_path / 'fresh'}")


def test_a_backup_that_was_damaged_is_found_by_the_step_that_reads_it(operator: Operator) -> None:
    operator.extract(HALF, f"parquet:{operator.tables}")
    part = next(operator.tables.rglob("*.parquet"))
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AssertionError, match=part.name):
        operator.does("Back up", "Folders of tables")


def test_a_database_is_backed_up_restored_and_continued(
    operator: Operator, database: str, tmp_path: Path
) -> None:
    if not shutil.which("pg_dump", path=operator.path):
        pytest.skip("pg_dump is not here: it is in Debian's postgresql-client")
    url = operator.variables["DATABASE_URL"] = web_url(database)
    operator.extract(HALF, url)
    operator.does("Back up", "PostgreSQL")
    operator.extract(WHOLE, url)
    name = conninfo.conninfo_to_dict(database)["dbname"]
    with psycopg.connect(conninfo.make_conninfo(database, dbname="postgres"), autocommit=True) as server:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        server.execute(f"CREATE DATABASE {name}".encode())
    operator.does("Restore", "PostgreSQL")
    operator.extract(WHOLE, f"parquet:{tmp_path / 'fresh'}")
    found, fresh = held(url), held(f"parquet:{tmp_path / 'fresh'}")
    assert {name: ledgers for name, (ledgers, _) in found.items()} == dict.fromkeys(TABLES, WHOLE)
    assert {name: len(one[1]) for name, one in found.items()} == {n: len(one[1]) for n, one in fresh.items()}


def test_a_state_folder_is_backed_up_restored_and_continued(operator: Operator) -> None:
    lake = operator.folder / "lake"

    def processor() -> Processor:
        options = Options(
            state_dir=operator.state, tables=("ledgers",), network=sa.Network.of("synthetic"), batch_size=5
        )
        return Processor(lambda: FileSource(lake), options)

    def worked(session: str, of: Processor, last: int) -> None:
        deadline = time.monotonic() + SECONDS
        while of.work(session).session.current != last:
            assert time.monotonic() < deadline, of.work(session).session
            time.sleep(0.01)

    with closing(processor()) as first:
        session = first.start(100, 119).id
        worked(session, first, 119)
        first.drain()
    operator.does("Back up", "State folders")
    archive = operator.backup / "state.tar.gz"
    assert archive.stat().st_mode & 0o077 == 0
    with closing(processor()) as second:
        second.resume()
        later = second.start(120, 139).id
        worked(later, second, 139)
        second.drain()
    shutil.rmtree(operator.state)
    operator.does("Restore", "State folders")
    with closing(processor()) as third:
        third.resume()
        assert [one.session.id for one in third.works()] == [session]
        assert (third.damage, third.work(session).message) == ([], "")
        again = third.start(120, 139).id
        worked(again, third, 139)
        third.drain()
        spool = third.work(session).spool
        assert spool is not None
        (name,) = third.work(session).kept_tables.values()
        kept = [row for piece in spool.read(name, after=99) for row in piece.rows.to_pylist()]
    assert [row["ledger_sequence"] for row in kept] == list(range(100, 120))


def test_every_block_of_the_page_is_one_of_these_steps() -> None:
    parts = [
        block
        for section in ("Back up", "Restore")
        for of in ("Folders of tables", "PostgreSQL", "State folders")
        for block in steps(section, of)
    ]
    assert re.findall(r"^```\w*\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE) == parts
