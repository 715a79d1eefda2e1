"""What older versions wrote: folders, files, a database and a state are read and continued."""

from __future__ import annotations

import secrets
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg import conninfo

import stellarrow as sa
from stellarrow import registry
from stellarrow.processor.processor import Options, Processor
from stellarrow.processor.reads.cursor import Cursor, Place
from stellarrow.protocols import HeldTable
from stellarrow.security.key_store import FILE, KeyStore

DATA = Path(__file__).parent / "data"
TABLES = ("ledgers", "contract_data", "contract_events", "token_transfers")
KEPT = ("contract_data@2.0", "ledgers", "contract_events")
# The archive of each version, and the session in it that goes on.
VERSIONS = {
    "before_14": "341ac008-125c-4a20-87fd-e014267e0fb9",
    "before_22": "ff6e9191-324d-4493-8b57-3cdc22a0d0f5",
}
FOLDERS = (
    "parquet:{}/parquet?ledgers=5",
    "parquet:{}/by-contract?partition=contract_id&ledgers=10",
    "jsonl:{}/jsonl?codec=zstd",
    "csv:{}/csv",
)
LATER = ("duckdb:{}/tables.duckdb", "delta:{}/delta")  # which the first of them did not have
WRITTEN = [("before_14", form) for form in FOLDERS] + [("before_22", form) for form in (*FOLDERS, *LATER)]
OLD, WHOLE = sa.LedgerRange(100, 111), sa.LedgerRange(100, 123)


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def before(version: str, tmp_path: Path) -> Path:
    """A folder with `lake`, `out`, `database.sql` and `state`."""
    with tarfile.open(DATA / f"{version}.tar.xz") as packed:
        packed.extractall(tmp_path / "before", filter="data")
    return tmp_path / "before"


def held(location: str) -> dict[str, HeldTable]:
    tables: Sequence[HeldTable] = registry.sink_entry(location).load().held(location)
    return {one.name: one for one in tables}


def rows(location: str, ledgers: sa.LedgerRange) -> dict[str, list[dict[str, Any]]]:
    return {name: sorted(rows_in(one, ledgers), key=repr) for name, one in held(location).items()}


def rows_in(table: HeldTable, ledgers: sa.LedgerRange) -> Iterator[dict[str, Any]]:
    for batch in table.read(sa.schema(table.name).names, ledgers):
        yield from batch.to_pylist()


def extract(before: Path, location: str, ledgers: sa.LedgerRange) -> sa.Report:
    return sa.run(
        before / "lake", tables=TABLES, sinks=[location], network="synthetic", ledgers=sa.LedgerSet([ledgers])
    )


@pytest.mark.parametrize(("version", "form"), WRITTEN)
def test_a_folder_of_the_version_before_is_read_and_continued(
    before: Path, tmp_path: Path, form: str
) -> None:
    (tmp_path / "fresh").mkdir()
    older, fresh = form.format(before / "out"), form.format(tmp_path / "fresh")
    assert_read_and_continued(before, older, fresh)


def assert_read_and_continued(before: Path, older: str, fresh: str) -> None:
    """Compare a sink that the version before began with one that is all of this version."""
    extract(before, fresh, OLD)
    assert {name: str(one.ledgers) for name, one in held(older).items()} == dict.fromkeys(TABLES, "100:111")
    assert rows(older, OLD) == rows(fresh, OLD)
    report = extract(before, older, WHOLE)
    assert (report.skipped, str(report.ranges)) == (12, "112:123")
    extract(before, fresh, WHOLE)
    assert all(rows(fresh, WHOLE).values())
    assert rows(older, WHOLE) == rows(fresh, WHOLE)


def url_of(database: str) -> str:
    parts = conninfo.conninfo_to_dict(database)
    host = quote(str(parts["host"]), safe="")
    return f"postgresql://{parts['user']}@/{parts['dbname']}?host={host}&port={parts['port']}"


def test_a_database_of_the_version_before_is_read_and_continued(before: Path, database: str) -> None:
    older, name = url_of(database), f"fresh_{secrets.token_hex(6)}"
    with psycopg.connect(older, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        connection.execute((before / "database.sql").read_bytes())
    fresh = url_of(conninfo.make_conninfo(database, dbname=name))
    assert_read_and_continued(before, older, fresh)


def test_a_state_folder_of_the_version_before_is_read_and_continued(version: str, before: Path) -> None:
    network = sa.Network.of("synthetic")
    options = Options(state_dir=before / "state", tables=KEPT, network=network)
    with closing(Processor(lambda: registry.open_source(f"file://{before / 'lake'}"), options)) as processor:
        work = processor.work(VERSIONS[version])
        assert work.session.current == OLD.last
        processor.resume()
        deadline = time.monotonic() + 30
        while work.session.current != WHOLE.last:
            assert time.monotonic() < deadline, work.session
            time.sleep(0.02)
        assert (processor.damage, work.message) == ([], "")
        assert work.spool is not None
        for name in work.kept_tables.values():
            kept = [row for piece in work.spool.read(name, after=99) for row in piece.rows.to_pylist()]
            scanned = sa.scan(before / "lake", table=name, network="synthetic").to_reader().read_all()
            assert kept == scanned.to_pylist() != []


@pytest.mark.parametrize("version", ["before_22"])
def test_readers_and_keys_of_the_version_before_are_known(before: Path) -> None:
    with closing(KeyStore(before / "state" / FILE)) as keys:
        secret_id = (before / "api_key").read_text().split("_")[1]
        found = keys.find(secret_id)
        assert found is not None
        assert found[0].key_id == "older"
    options = Options(state_dir=before / "state", tables=KEPT, network=sa.Network.of("synthetic"))
    with closing(Processor(lambda: registry.open_source(f"file://{before / 'lake'}"), options)) as processor:
        (reader,) = processor.readers.every()
        assert (reader.name, reader.table) == ("kept", "ledgers@1.0")
        assert Cursor.read(reader.resume).places[VERSIONS["before_22"]] == Place(111)
