from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import stellarrow as sa
from sinks.kept import in_order
from sinks.lasting import FlatContract, Work, count_methods, without
from sinks.read_back import ReadBack, write_parts
from sinks.shared import SharedSinkContract
from sinks.typed_tables import TypedReadBack, TypedTablesContract
from stellarrow.core.tables import columns_of
from stellarrow.sinks.duckdb_file import DuckDbSink, sink
from stellarrow.sinks.duckdb_file.file import DuckDbFile

Run = Callable[..., Any]


class TestDuckDbSink(SharedSinkContract, FlatContract):
    """A DuckDB file, read by DuckDB."""

    longest = 1.0
    stride = 7

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> Iterator[None]:
        self.folder = tmp_path
        self.path = tmp_path / "stellar.db"
        with ExitStack() as self.opened:
            yield

    def move(self, name: str) -> None:
        self.path = self.folder / f"{name}.db"

    def open(self, *, tables: tuple[str, ...] | None = None, **choices: Any) -> DuckDbSink:
        made = DuckDbSink(f"duckdb:{self.path}", tables or self.tables, **{"network": "synthetic", **choices})
        return self.opened.enter_context(closing(made))

    def opening(self) -> str:
        return (
            "from sinks.duckdb_file.stepping import stepping_file\n"
            "from stellarrow.sinks.duckdb_file import DuckDbSink\n"
            f"sink = DuckDbSink(stepping_file({f'duckdb:{self.path}'!r}, step), {self.tables!r},"
            " network='synthetic')"
        )

    def asked(self, query: str) -> list[dict[str, Any]]:
        with duckdb.connect(self.path) as connection:
            connection.execute("SET timezone = 'UTC'")
            answer: Any = connection.sql(query)
            found: list[dict[str, Any]] = answer.to_arrow_table().to_pylist()
        return found

    def held(self) -> list[str]:
        if not self.path.exists():
            return []
        name = "if(schema_name = 'main', table_name, schema_name || '.' || table_name)"
        return [row["name"] for row in self.asked(f"SELECT {name} AS name FROM duckdb_tables() ORDER BY 1")]

    def rows(self, table: str) -> list[dict[str, Any]]:
        return in_order(table, self.rows_decoded(table))

    def rows_decoded(self, table: str) -> list[dict[str, Any]]:
        return self.asked(f"FROM {table}") if table in self.held() else []

    def expected(self, table: str, first: int, last: int) -> list[dict[str, Any]]:
        return in_order(table, super().expected(table, first, last))

    def everything(self) -> dict[str, Any]:
        return {name: self.asked(f"FROM {name}") for name in self.held()}

    def landing(self) -> tuple[Any, str]:
        return DuckDbFile, "commit"

    def tend(self) -> None:
        """Write what was committed from the log into the file, as DuckDB does when it is large."""
        with duckdb.connect(self.path) as connection:
            connection.execute("FORCE CHECKPOINT")

    def count_work(self, work: Work) -> None:
        sizes: dict[str, Any] = {
            "do": lambda *given: len(given[1]),
            "register": lambda *given: given[2].nbytes,
            "commit": None,
        }
        count_methods(self.patches, work, DuckDbFile, sizes)

    def keep_as_before(self, column: str, batch: sa.LedgerBatch, **choices: Any) -> None:
        def columns(*given: Any, **named: Any) -> pa.Schema:
            known = columns_of(*given, **named)
            return known.remove(known.get_field_index(column)) if column in known.names else known

        with self.patches.context() as patched:
            patched.setattr(sink, "columns_of", columns)
            made = self.open(**choices)
        made.write(without(column, batch))
        made.commit()
        made.close()

    @pytest.mark.parametrize("commit_each", [False])
    def test_killed_before_any_step_it_resumes(
        self, forks: subprocess.Popen[str], *, commit_each: bool
    ) -> None:
        super().test_killed_before_any_step_it_resumes(forks, commit_each=commit_each)

    def test_folders_above_the_file_are_made_by_the_first_commit_and_not_by_asking(self) -> None:
        self.path = self.folder / "not" / "there" / "stellar.db"
        made = self.open()
        assert not made.coverage()
        assert not self.path.parent.parent.exists()
        made.write(self.batch(100, 104))
        made.commit()
        made.close()
        self.assert_holds("100:104")

    def test_a_file_where_a_folder_must_be_is_a_sentence(self) -> None:
        (self.folder / "taken").write_text("")
        self.path = self.folder / "taken" / "stellar.db"
        made = self.open()
        made.write(self.batch(100, 104))
        with pytest.raises(sa.SinkError, match=r"cannot write to .*taken .*a file is where a folder must be"):
            made.commit()

    def test_a_file_that_another_process_holds_is_refused_with_who_has_it(self) -> None:
        self.keep((100, 104))
        code = f"import duckdb; c = duckdb.connect({str(self.path)!r}); print('has it', flush=True); input()"
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdin
            assert other.stdout
            assert other.stdout.readline()
            impatient = DuckDbSink(DuckDbFile(self.path, patience=0.0), self.tables, network="synthetic")
            impatient.write(self.batch(105, 109))
            for ask in (impatient.coverage, impatient.commit):
                with pytest.raises(sa.SinkUnavailable, match=rf"held by another process \(PID {other.pid}\)"):
                    ask()
            other.stdin.close()
            other.wait()
        impatient.commit()
        impatient.close()
        self.assert_holds("100:109")


class TestReadBack(ReadBack):
    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return f"duckdb:{tmp_path}/stellar.db"


class TestTypedReadBack(TypedReadBack):
    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return f"duckdb:{tmp_path}/stellar.db"


@pytest.mark.slow
class TestTypedTables(TypedTablesContract, TestDuckDbSink):
    """A contract's own tables in a DuckDB file."""

    @property
    def address(self) -> str:
        return f"duckdb:{self.path}"


@pytest.fixture
def written(tmp_path: Path, stellarrow: Run, make_lake: Callable[..., Path]) -> str:
    return write_parts(f"duckdb:{tmp_path}/stellar.db", stellarrow, make_lake())


def test_check_finds_rows_that_are_gone_and_repairs_them(
    written: str, stellarrow: Run, make_lake: Callable[..., Path]
) -> None:
    with duckdb.connect(written.removeprefix("duckdb:")) as connection:
        connection.execute("DELETE FROM ledgers WHERE ledger_sequence = 135")
    told = stellarrow("check", written)
    assert (told.code, "does not have as many rows as were written" in told.out) == (1, True), told.out
    assert stellarrow("check", written, "--repair").code == 0
    done = stellarrow("extract", make_lake(), "--tables", "ledgers,contract_data", "--to", written)
    assert done.code == 0, done.err
    assert stellarrow("check", written).code == 0
    assert sa.scan(written, table="ledgers").to_table()["ledger_sequence"].to_pylist() == [*range(100, 140)]


def test_what_is_no_database_is_refused_in_one_sentence(tmp_path: Path, stellarrow: Run) -> None:
    (tmp_path / "text.db").write_text("no database at all")
    for place, told in (
        (f"duckdb:{tmp_path}/text.db", "is no DuckDB database"),
        (f"duckdb:{tmp_path}/none.db", "holds no table"),
        ("duckdb::memory:", "names no file"),
    ):
        done = stellarrow("coverage", place)
        assert (done.code in (1, 2), told in done.err) == (True, True), done.err
    assert not (tmp_path / "none.db").exists()
    assert "no file" in stellarrow("doctor", "--to", f"duckdb:{tmp_path}/none.db").out


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import stellarrow as sa
from stellarrow.sinks.duckdb_file import DuckDbSink
data = sa.synth(50, 20, ledger_bytes=20_000)
batch = sa.Decoder(["contract_data"], network="synthetic")(sa.LedgerChunk(data, "auto", 2, 51, "memory"))
sink = DuckDbSink(f"duckdb:{sys.argv[1]}", ["contract_data"], network="synthetic")
sink.write(batch)
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))
try:
    sink.commit()
except sa.SinkError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
sink.commit()
sink.close()
"""


def test_a_full_disk_is_told_as_such_and_the_rows_are_kept_when_there_is_room(tmp_path: Path) -> None:
    file = tmp_path / "stellar.db"
    told = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(file)], capture_output=True, text=True, check=True
    ).stdout
    assert told.startswith(f"cannot write to {file} ")
    assert "make room" in told
    with duckdb.connect(file) as connection:
        assert connection.execute(
            "SELECT count(DISTINCT ledger_sequence) > 40 FROM contract_data"
        ).fetchone() == (True,)
