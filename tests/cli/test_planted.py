"""What others put into a folder of tables, or damage in it, and what every command says of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import stellarrow as sa
from stellarrow.sinks.files.manifest import checksum

pytest.importorskip("duckdb")

Run = Callable[..., Any]
Lake = Callable[..., Path]

pytestmark = pytest.mark.filterwarnings("ignore::stellarrow.LedgersUnextracted")  # of what is planted

NAME = "0000000110-0000000119"
READING = ("coverage", "verify", "check", "compact", "sql", "scan", "extract", "repair")


@pytest.fixture(params=["ledgers", "event_type"])
def out(request: pytest.FixtureRequest, stellarrow: Run, make_lake: Lake, tmp_path: Path) -> Path:
    """Return a folder of two tables, of ledgers 100 to 129."""
    tmp_path.joinpath("partition").write_text(request.param)
    tmp_path.joinpath("lake.txt").write_text(str(make_lake()))
    assert extracted(stellarrow, tmp_path / "out").code == 0
    return tmp_path / "out"


def extracted(stellarrow: Run, out: Path) -> Any:
    lake = (out.parent / "lake.txt").read_text()
    partition = (out.parent / "partition").read_text()
    place = f"parquet:{out}?ledgers=10&partition={partition}"
    tables = "ledgers,contract_events"
    return stellarrow("extract", lake, "--tables", tables, "--ledgers", "100:129", "--to", place)


def do(stellarrow: Run, doing: str, out: Path, table: str) -> Any:
    """Do something with a folder; a scan answers as a command does."""
    if doing == "scan":
        return scanned(out, table)
    query = (
        f"select count(*) n, max(transaction_hash) h, max(ledger_sequence) l, max(closed_at) c from {table}"
        if table == "contract_events"
        else ""
    )
    words: dict[str, tuple[Any, ...]] = {
        "coverage": ("coverage", out),
        "verify": ("coverage", out, "--verify"),
        "check": ("check", out),
        "repair": ("check", out, "--repair"),
        "compact": ("compact", out),
        "sql": ("sql", query or f"select count(*) n from {table}", "--data", out, "--csv"),
    }
    if doing == "extract":
        return extracted(stellarrow, out)
    return stellarrow(*words[doing])


class Scanned:
    def __init__(self, code: int, err: str) -> None:
        self.code, self.out, self.err = code, "", err


def scanned(out: Path, table: str) -> Scanned:
    try:
        for batch in sa.scan(out, table=table).to_reader():
            batch.validate(full=True)
    except sa.StellarrowError as error:
        return Scanned(1, str(error))
    return Scanned(0, "")


def events(out: Path) -> Path:
    found = sorted(out.glob(f"contract_events/**/{NAME}.parquet"))
    return found[0]


def entry(out: Path) -> Path:
    return out / "contract_events" / "_manifest" / f"{NAME}.json"


def put_fifo(out: Path) -> None:
    events(out).unlink()
    os.mkfifo(next(out.glob("contract_events")) / f"{NAME}.parquet")


def put_fifo_entry(out: Path) -> None:
    entry(out).unlink()
    os.mkfifo(entry(out))


def put_device(out: Path) -> None:
    path = events(out)
    path.unlink()
    path.symlink_to("/dev/zero")


def put_device_entry(out: Path) -> None:
    entry(out).unlink()
    entry(out).symlink_to("/dev/zero")


def put_link_out(out: Path) -> None:
    path = events(out)
    elsewhere = path.rename(out.parent / "elsewhere.parquet")
    path.symlink_to(elsewhere)


def change(out: Path, made: Any) -> None:
    answer = json.loads(entry(out).read_text())
    del answer["checksum"]
    made(answer)
    entry(out).write_text(json.dumps({**answer, "checksum": checksum(answer)}))


def put_path_out(out: Path) -> None:
    pq.write_table(pa.table({"secret": [1]}), out.parent / "x.parquet")
    change(out, lambda told: told["files"][0].update(path="../../x.parquet"))


def put_absolute_path(out: Path) -> None:
    change(out, lambda told: told["files"][0].update(path="/etc/passwd"))


def put_number_as_path(out: Path) -> None:
    change(out, lambda told: told["files"][0].update(path=5))


def put_deep_json(out: Path) -> None:
    entry(out).write_text("[" * 200_000 + "]" * 200_000)


def put_deep_json_first(out: Path) -> None:
    for path in entry(out).parent.iterdir():
        path.write_text('{"a":' * 200_000)


def put_unknown_format(out: Path) -> None:
    change(out, lambda told: told.update(format="exe", codec="x"))


def put_empty_group(out: Path) -> None:
    path = events(out)
    held = pq.read_table(path, partitioning=None)
    with pq.ParquetWriter(path, held.schema) as writer:
        writer.write_table(held)
        writer.write_batch(pa.RecordBatch.from_pylist([], held.schema))


def put_huge_entry(out: Path) -> None:
    with entry(out).open("r+b") as file:
        file.truncate(1 << 36)


PLANTED = [value for name, value in list(globals().items()) if name.startswith("put_")]


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__[4:])
@pytest.mark.parametrize("out", ["ledgers", "event_type"], indirect=True)
def test_what_was_planted_is_told_in_a_sentence_and_the_other_table_is_read(
    stellarrow: Run, out: Path, plant: Callable[[Path], None]
) -> None:
    plant(out)
    for doing in READING:
        done = do(stellarrow, doing, out, "contract_events")
        answer = done.out + done.err
        assert "Traceback" not in answer
        assert done.code in (0, 1), (doing, answer)
        if done.code and doing not in ("check", "coverage", "verify"):
            assert str(out) in done.err, (doing, answer)
            assert len(done.err) < 1_000
        assert "secret" not in answer
        for reading in ("sql", "scan"):
            assert do(stellarrow, reading, out, "ledgers").code == 0, doing


FOREIGN = (
    ".DS_Store",
    "_SUCCESS",
    "readme.txt",
    "copy.parquet",
    f"{NAME}.parquet.crc",
    f".{NAME}.parquet.crc",
)


@pytest.mark.parametrize("where", ["", "ledgers", "contract_events", "contract_events/_manifest"])
def test_foreign_files_stop_nobody_and_check_names_them(stellarrow: Run, out: Path, where: str) -> None:
    before = {
        doing: do(stellarrow, doing, out, "contract_events").out for doing in ("coverage", "sql", "verify")
    }
    for name in FOREIGN:
        (out / where / name).write_text("not ours")
    for doing in READING:
        done = do(stellarrow, doing, out, "contract_events")
        assert done.code == 0, (doing, done)
        assert done.out == before.get(doing, done.out)
    answer = stellarrow("check", out).out
    for name in FOREIGN:
        assert f"{where}/{name}: ".lstrip("/") in answer
    assert answer.count("remove it") == len(FOREIGN)


@pytest.mark.parametrize("harm", ["cut", "flipped", "gone"])
def test_a_damaged_file_blocks_only_its_table_and_is_named(stellarrow: Run, out: Path, harm: str) -> None:
    path = events(out)
    held = bytearray(path.read_bytes())
    if harm == "flipped":
        column = pq.read_metadata(path).row_group(0).column(0)
        held[column.data_page_offset + column.total_compressed_size - 1] ^= 0x10
    path.write_bytes(bytes(held[: len(held) // 2] if harm == "cut" else held))
    if harm == "gone":
        path.unlink()
    whole = (out / "contract_events" / path.name) == path
    for doing in ("sql", "scan"):
        done = do(stellarrow, doing, out, "contract_events")
        if harm == "gone" and whole:
            assert done.code == 0
        else:
            assert done.code == 1
            assert path.name in done.err
            assert "run stellarrow check --repair" in done.err
        assert do(stellarrow, doing, out, "ledgers").code == 0
    done = stellarrow("coverage", out, "--verify", "--json")
    tables = {one["table"]: one for one in json.loads(done.out)["tables"]}
    assert tables["ledgers"]["rows"] == 30
    assert tables["contract_events"]["rows"] > 0
    if not (harm == "gone" and whole):
        assert done.code == 1
        assert path.name in tables["contract_events"]["faults"][0]


def test_every_flipped_byte_of_pages_is_told_by_sql_and_scan(stellarrow: Run, out: Path) -> None:
    path = events(out)
    held = path.read_bytes()
    group = pq.read_metadata(path).row_group(0)
    column = group.column(group.num_columns - 1)
    query = "select * from contract_events"
    good = stellarrow("sql", query, "--data", out, "--csv").out
    for at in range(column.data_page_offset, column.data_page_offset + column.total_compressed_size, 7):
        path.write_bytes(held[:at] + bytes([held[at] ^ 1]) + held[at + 1 :])
        done = stellarrow("sql", query, "--data", out, "--csv")
        assert done.code == 1 or done.out == good
    path.write_bytes(held)
