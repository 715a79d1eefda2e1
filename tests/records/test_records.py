"""Shared records: of two writers who know the same version, one is taken."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

import stellarrow as sa
from fakes.process import free_port
from stellarrow.errors import SinkError, SinkUnavailable
from stellarrow.records.in_folder import FolderRecords
from stellarrow.records.opening import open_records
from stellarrow.records.proof import prove, prove_under_load
from stellarrow.records.record import Record, amend
from stellarrow.storage.exclusive import put_new


def test_a_record_is_replaced_only_by_who_names_its_newest_version(place: str) -> None:
    with closing(open_records(place)) as records:
        assert records.get("a/one") is None
        assert records.replace("a/one", b"1", of="0") is None
        first = records.replace("a/one", b"1", of=None)
        assert first is not None
        assert records.replace("a/one", b"2", of=None) is None
        second = records.replace("a/one", b"2", of=first)
        assert records.replace("a/one", b"3", of=first) is None
        assert records.get("a/one") == Record(b"2", str(second))
        records.remove("a/one")
        records.remove("a/one")
        assert records.get("a/one") is None


def test_who_was_paused_for_long_cannot_take_a_number_that_is_free_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = FolderRecords(tmp_path)
    first = records.replace("one", b"1", of=None)

    def after_a_pause(aside: Path, path: Path) -> bool:
        """Let the world go on for an hour between the look and the write."""
        monkeypatch.undo()
        version = first
        for number in range(2, 5):
            version = records.replace("one", str(number).encode(), of=version)
            hour = aside.stat().st_mtime + 3_600 * number
            os.utime(tmp_path / "one" / f"{number:012d}", (hour, hour))
        (tmp_path / "one" / "000000000002").unlink()  # as who replaces it an hour later does
        return put_new(aside, path)

    monkeypatch.setattr("stellarrow.records.in_folder.put_new", after_a_pause)
    assert records.replace("one", b"stale", of=first) is None
    assert records.get("one") == Record(b"4", "4")
    assert not (tmp_path / "one" / "000000000002").exists()


def test_what_was_replaced_long_ago_is_removed(tmp_path: Path) -> None:
    records = FolderRecords(tmp_path)
    version = None
    for number in range(1, 4):
        version = records.replace("one", b"x", of=version)
        hour = (number - 4) * 3_600 + time.time()
        os.utime(tmp_path / "one" / f"{number:012d}", (hour, hour))
    records.replace("one", b"x", of=version)
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["000000000004"]


def test_no_change_is_lost_when_several_make_changes_at_once(place: str) -> None:
    begin = threading.Barrier(4)

    def more(data: bytes | None) -> tuple[bytes, None]:
        return str(int(data or b"0") + 1).encode(), None

    def count() -> None:
        with closing(open_records(place)) as records:
            begin.wait()
            for _ in range(10):
                amend(records, "count", more)

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(count) for _ in range(4)]:
            done.result()
    with closing(open_records(place)) as records:
        held = records.get("count")
    assert held is not None
    assert held.data == b"40"


def test_a_place_proves_that_it_compares_and_keeps_nothing_of_the_proof(place: str) -> None:
    with closing(open_records(place)) as records:
        prove(records)
        amend(records, "real", lambda _: (b"1", None))
        prove(records)
        prove_under_load(records)


class Deaf(FolderRecords):
    """A place that writes whatever version is named, as some stores do."""

    def replace(self, key: str, data: bytes, *, of: str | None) -> str | None:
        held = self.get(key)
        return super().replace(key, data, of=held.version if held else of)


def test_a_place_that_ignores_what_a_write_was_made_from_is_found_out(tmp_path: Path) -> None:
    records = Deaf(tmp_path)
    with pytest.raises(SinkError, match=r"writes over what is there though told not to \(If-None-Match\)"):
        prove(records)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


class HalfDeaf(Deaf):
    """A place that heeds If-None-Match, and not If-Match."""

    def replace(self, key: str, data: bytes, *, of: str | None) -> str | None:
        return (
            FolderRecords.replace(self, key, data, of=of) if of is None else super().replace(key, data, of=of)
        )


def test_a_place_that_ignores_if_match_alone_is_found_out(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"replaces a version that it no longer has \(If-Match\)"):
        prove(HalfDeaf(tmp_path))


class Torn(FolderRecords):
    """A place that hands out the bytes of one version with the tag of the next, now and then."""

    before = b"0"

    def get(self, key: str) -> Record | None:
        held = super().get(key)
        if held is None or held.data != b"5":
            self.before = held.data if held else b"0"
            return held
        return Record(self.before, held.version)


def test_a_place_that_loses_changes_under_load_is_found_out(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="loses changes where several make some at once"):
        prove_under_load(Torn(tmp_path))


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("scheme", ["postgres", "s3"])
def test_a_place_that_is_away_may_come_back(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    port = free_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    url = f"postgres://someone@127.0.0.1:{port}/none" if scheme == "postgres" else "s3://bucket/records"
    with closing(open_records(url)) as records, pytest.raises(SinkUnavailable):
        records.get("one")


def test_a_connection_that_the_server_closed_is_made_again(database_url: str) -> None:
    import psycopg  # noqa: PLC0415  only where there is PostgreSQL

    with (
        closing(open_records(database_url)) as records,
        psycopg.connect(database_url, autocommit=True) as other,
    ):
        version = records.replace("one", b"1", of=None)
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database()"
        )
        assert records.replace("one", b"2", of=version) is not None


def test_what_is_no_place_is_told_with_what_is_one() -> None:
    with pytest.raises(sa.ConfigError, match="name postgres://USER@HOST/DATABASE, s3://BUCKET/PREFIX"):
        open_records("https://host/records")
