"""Every byte of every kind of durable file, flipped: no answer is silently wrong, no sound file is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from stellarrow.cli.query.database import Database
from stellarrow.errors import StellarrowError
from stellarrow.filter import Filter
from stellarrow.lake.layout import Layout, manifest
from stellarrow.lake.reader import Lake
from stellarrow.lake.verify import LakeCheck
from stellarrow.lake.writer import packed
from stellarrow.ledgers import Network
from stellarrow.net.resilience import Guard
from stellarrow.pipeline.dead_letters import DeadLetters
from stellarrow.processor.session import Counts, Mark, Session, Status
from stellarrow.processor.session_store import Store
from stellarrow.sinks.files.location import open_existing
from stellarrow.sinks.files.reading import listings, rows_of
from stellarrow.sinks.files.verify import Fault, check, repair
from stellarrow.spool.spool import Spool
from stellarrow.storage.opening import open_store

pytestmark = pytest.mark.slow

TABLE = "ttl"
LAYOUT = Layout(4, 4)


def flips(path: Path) -> Iterator[int]:
    """Flip a bit of each byte in turn, and put the sound bytes back."""
    sound = path.read_bytes()
    try:
        for at in range(len(sound)):
            path.write_bytes(sound[:at] + bytes([sound[at] ^ 1 << at % 8]) + sound[at + 1 :])
            yield at
    finally:
        path.write_bytes(sound)


def report(kind: str, flipped: int, told: int) -> None:
    """Print what `pytest -rP` shows: what is not told gave the very rows that were written."""
    print(f"{kind}: {flipped} bytes flipped, {told} told, {flipped - told} without effect, 0 silent")


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def batch(ledgers: tuple[bytes, ...], first: int, last: int, *tables: str) -> sa.LedgerBatch:
    data = b"".join(
        (0x80000000 | len(one)).to_bytes(4, "big") + one for one in ledgers[first - 100 : last - 99]
    )
    return sa.Decoder(tables, network="synthetic")(sa.LedgerChunk(data, "auto", first, last, "memory"))


def answered(ask: Callable[[], Any]) -> Any:
    """Return an answer, or the error where that is one of ours."""
    try:
        return ask()
    except StellarrowError as error:
        return error


@pytest.fixture(params=["parquet", "jsonl", "csv", "parquet:date"])
def extract(request: pytest.FixtureRequest, tmp_path: Path, ledgers: tuple[bytes, ...]) -> str:
    """Two ranges of one table, each in a file of its own."""
    kind, _, partition = request.param.partition(":")
    place = f"{kind}:{tmp_path / 'data'}" + (f"?partition={partition}" if partition else "")
    source = tmp_path / "ledgers.xdr"
    for first in (100, 102):
        held = ledgers[first - 100 : first - 98]
        source.write_bytes(b"".join((0x80000000 | len(one)).to_bytes(4, "big") + one for one in held))
        sa.run(source, tables=[TABLE], sinks=[place], network="synthetic")
    return place.partition("?")[0]


def held_rows(place: str) -> list[dict[str, Any]]:
    with closing(open_existing(place)) as store:
        return [row for table in listings(store) for rows in rows_of(table) for row in rows.to_pylist()]


def in_scan(folder: Path) -> list[dict[str, Any]]:
    held: list[dict[str, Any]] = sa.scan(folder, table=TABLE).to_reader().read_all().to_pylist()
    return held


def in_query(folder: Path) -> list[dict[str, Any]]:
    rows = Database(folder).rows(f"select * from {TABLE} order by ledger_sequence")
    held: list[dict[str, Any]] = rows.read_all().to_pylist()
    return held


def found_faults(place: str) -> list[Fault]:
    with closing(open_existing(place)) as store:
        return [one for table in listings(store) for one in check(table) if isinstance(one, Fault)]


def repaired(place: str) -> None:
    with closing(open_existing(place)) as store:
        for table in listings(store):
            repair(table, [one for one in check(table) if isinstance(one, Fault)])


@pytest.mark.parametrize("which", ["data", "manifest"])
def test_a_flip_in_an_extract_is_found_and_costs_no_other_range(
    extract: str, which: str, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    sound, before = held_rows(extract), files(folder)
    assert sound
    assert in_scan(folder) == in_query(folder) == sound
    assert found_faults(extract) == []
    (path,) = (
        path for path in folder.rglob("0000000102-*") if ("_manifest" in path.parts) == (which == "manifest")
    )
    told = 0
    for at in flips(path):
        faults = answered(lambda: found_faults(extract))
        read = answered(lambda: held_rows(extract))
        is_told = bool(faults)
        told += is_told
        assert is_told or read == sound, at
        if which == "data":
            assert is_told, at
            assert isinstance(read, StellarrowError) or read == sound, at
            scanned = answered(lambda: in_scan(folder))
            assert isinstance(scanned, StellarrowError) or scanned == sound, at
            if at % 32 == 0:
                queried = answered(lambda: in_query(folder))
                assert isinstance(queried, StellarrowError) or queried == sound, at
        if at % 16 == 0:
            flipped = path.read_bytes()
            answered(lambda: repaired(extract))
            left = files(folder)
            others = {name: data for name, data in before.items() if "0000000102-" not in name}
            assert {name: left.get(name) for name in others} == others, at
            moved = [name for name in left if name.startswith("_quarantine/")]
            assert sorted(left.values()) == sorted(
                (before | {str(path.relative_to(folder)): flipped}).values()
            )
            shutil.rmtree(folder)
            for name, data in before.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(data)
            assert (
                moved
                or not is_told
                or isinstance(faults, StellarrowError)
                or not any(one.ledgers for one in faults)
            ), at
    report(f"{extract.partition(':')[0]} {path.relative_to(folder).parent} {which}", at + 1, told)


@pytest.fixture
def spooled(tmp_path: Path, ledgers: tuple[bytes, ...]) -> Callable[[], Spool]:
    """A spool of two segments, ledgers 100 to 103."""

    def opened(committed: int = 103) -> Spool:
        return Spool(tmp_path, [TABLE], network="synthetic", segment_bytes=1, committed=committed)

    with closing(opened(0)) as spool:
        for first in (100, 102):
            spool.write(batch(ledgers, first, first + 1, TABLE))
            spool.commit()
        spool.leave_out(sa.LedgerRange(110, 112))
    return opened


@pytest.mark.parametrize("which", ["0*100/index", "0*102/index", "0*100/ttl*", "0*102/ttl*", "spool.json"])
def test_a_flip_in_a_spool_is_told_and_changes_nothing(
    spooled: Callable[[], Spool], which: str, tmp_path: Path
) -> None:
    def read() -> Any:
        with closing(spooled()) as spool:
            rows = [row for piece in spool.read(TABLE, after=0) for row in piece.rows.to_pylist()]
            return str(spool.coverage()), str(spool.left_out), rows

    sound, before = read(), files(tmp_path)
    assert sound[2]
    (path,) = tmp_path.glob(which)
    name = str(path.relative_to(tmp_path))
    answer = 0
    for at in flips(path):
        flipped = path.read_bytes()
        got = answered(read)
        assert isinstance(got, StellarrowError) or got == sound, at
        answer += got != sound
        assert files(tmp_path) == before | {name: flipped}, at
    assert answer > len(before[name]) // 4
    report(f"spool {name}", len(before[name]), answer)


@pytest.mark.parametrize("which", ["sessions.sqlite3", "sessions.sqlite3-wal"])
def test_a_flip_in_what_is_remembered_of_sessions_is_told(tmp_path: Path, which: str) -> None:
    source = tmp_path / "source"
    store = Store(source / "sessions.sqlite3")
    made = Session.new(sa.LedgerRange(100, 139), batch_size=5, tables=(TABLE,))
    first = made.became(Status.STARTING).became(Status.RUNNING)
    second = Session.new(sa.LedgerRange(7), batch_size=5, tables=(TABLE,)).became(Status.STARTING)
    for one in (first, second):
        store.save(one)
    store.save_filter(Filter(event_types=("contract",)))
    ahead = Mark(110, "ab" * 32, Counts(ledgers=11, entries=5))
    store.save_marks(first.at(ahead))
    folder = tmp_path / "opened"
    shutil.copytree(source, folder)
    store.close()
    older, newest = [first, second], [first.at(ahead), second]

    def read() -> Any:
        with closing(Store(folder / "sessions.sqlite3")) as opened:
            return opened.sessions(), opened.filter()

    def without_times(sessions: list[Session]) -> list[Any]:
        return [(one.id, one.ledgers, one.status, one.reached, one.damage) for one in sessions]

    path = folder / which
    log = folder / "sessions.sqlite3-wal"
    base, written = (folder / "sessions.sqlite3").read_bytes(), log.read_bytes()
    allowed = [without_times(newest)]
    if which.endswith("-wal"):
        allowed.append(without_times(older))  # of marks the spool knows what they must be
    sound, told, earlier = path.read_bytes(), 0, 0
    for at in range(len(sound)):
        (folder / "sessions.sqlite3").write_bytes(base)
        log.write_bytes(written)
        (folder / "sessions.sqlite3-shm").unlink(missing_ok=True)
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 1 << at % 8]) + sound[at + 1 :])
        got = answered(read)
        told += 1
        if isinstance(got, StellarrowError):
            continue
        sessions, where = got
        assert where == Filter(event_types=("contract",)), at
        damaged = {one.id for one in sessions if one.damage}
        if damaged:
            assert len(sessions) == 2, at
            continue
        told -= 1
        earlier += allowed.index(without_times(sessions))
    report(f"{which}, {earlier} times the marks before, as after a crash", len(sound), told)


@pytest.mark.parametrize("ending", ["json", "xdr"])
def test_a_flip_in_a_dead_letter_is_told_and_the_letter_stays(tmp_path: Path, ending: str) -> None:
    letters = DeadLetters(tmp_path)
    wrong = sa.DecodeError("ledger 7: no such arm", ledger=7, path="v2.ext", offset=12)
    letter = letters.put(bytes(range(256)), "single", 7, wrong, "lake/7.xdr", tables=[TABLE])
    before = files(tmp_path)
    sound, told = letters.chunk(letter), 0
    for at in flips(tmp_path / f"{letter.name}.{ending}"):
        lines: list[StellarrowError] = [*letters.damaged()]
        for one in letters.entries():
            got = answered(lambda one=one: letters.chunk(one))  # type: ignore[misc]
            assert isinstance(got, StellarrowError) or (one, got) == (letter, sound), at
            lines += [got] if isinstance(got, StellarrowError) else []
        assert lines or ending == "json", at
        told += bool(lines)
        letters.close_gaps(sa.LedgerSet([sa.LedgerRange(8)]))
        assert files(tmp_path).keys() == before.keys(), at
    report(f"dead letter .{ending}", at + 1, told)


@pytest.mark.parametrize("which", ["object", ".config.json"])
def test_a_flip_in_a_lake_is_found_and_no_row_is_another(
    tmp_path: Path, ledgers: tuple[bytes, ...], which: str
) -> None:
    for first in (100, 104):
        path = tmp_path / LAYOUT.key(first)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed(ledgers[first - 100 : first - 96]))
    (tmp_path / ".config.json").write_bytes(manifest(LAYOUT, Network.of("synthetic")))

    def faults() -> list[Any]:
        store = open_store(str(tmp_path))
        checker = LakeCheck(store, Guard(store.where))
        return [*checker.manifest, *(one for file in checker.ledgers(checker.names()) for one in file.faults)]

    def read() -> Any:
        store = open_store(str(tmp_path))
        lake = Lake(store, Guard(store.where))
        layout, network = lake.layout(), lake.network()
        data = store.get(layout.key(100))
        chunk = sa.LedgerChunk(data or b"", "auto", 100, 103, "lake")
        return sa.Decoder(
            ["contract_data", "contract_events", TABLE, "ledgers"],
            network=network or "synthetic",
            verify_hashes=True,
        )(chunk).tables

    sound, before = read(), files(tmp_path)
    assert sound
    assert faults() == []
    path = tmp_path / (".config.json" if which == ".config.json" else LAYOUT.key(100))
    found = 0
    for at in flips(path):
        answer = answered(faults)
        got = answered(read)
        assert isinstance(got, StellarrowError) or got == sound, at
        assert answer or got == sound, at
        found += bool(answer)
        assert files(tmp_path).keys() == before.keys(), at
    assert found > len(before[str(path.relative_to(tmp_path))]) // 2
    report(f"lake {which}", at + 1, found)
