"""Cold JSON lines and CSV become zstd, file by file: no row changes, whoever dies or reads meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from lifecycle.aged import DAY, Aged
from lifecycle.test_compress import died, parts, rows
from lifecycle.test_hindered import full_after
from lifecycle.test_lifecycle import actions
from sinks.stepping import Stepping
from stellarrow.ledgers import LedgerRange
from stellarrow.lifecycle.plan import ARCHIVE, COMPRESS
from stellarrow.lifecycle.policies import Policy
from stellarrow.sinks.files.compaction import compact
from stellarrow.storage.local_files import LocalFiles

ALL = ["100:109", "110:119", "120:129", "130:139"]
DONE = [(COMPRESS, "contract_data", "100:109"), (COMPRESS, "contract_data", "110:119")]
LEFT = ("is here under another name", "no entry of the manifest names it")
MAKES = {
    "jsonl": {"format": "jsonl"},
    "csv": {"format": "csv"},
    "folders": {"format": "jsonl", "partition": "contract_id"},
}


@pytest.fixture(params=MAKES)
def aged(request: pytest.FixtureRequest, tmp_path: Path, ledgers: tuple[bytes, ...]) -> Aged:
    return cold(tmp_path, ledgers, request.param)


def cold(folder: Path, ledgers: tuple[bytes, ...], make: str, **more: int) -> Aged:
    """Ledgers 100 to 119 are older than ten days, those after them are not."""
    made = Aged(folder, ledgers, tables=("contract_data",), **more, **MAKES[make])
    made.policy, made.days = Policy(compress=10 * DAY), 10
    return made


def names(aged: Aged) -> set[tuple[str, str]]:
    """Return first ledgers of files, and how their names end."""
    files = (
        one.name.partition(".") for one in aged.place.glob("contract_data/**/0*") if one.suffix != ".json"
    )
    return {(first[:10].lstrip("0"), ending) for first, _, ending in files}


def size(aged: Aged) -> int:
    files = (one for one in aged.place.glob("contract_data/**/0*") if one.suffix != ".json")
    return sum(one.stat().st_size for one in files)


def endings(aged: Aged) -> list[str]:
    kind = aged.format
    return [f"{kind}.zst", f"{kind}.zst", kind, kind]


def expected_names(aged: Aged) -> set[tuple[str, str]]:
    return {*zip(("100", "110", "120", "130"), endings(aged), strict=True)}


def test_what_is_cold_is_compressed_beside_what_is_not_and_is_one_table_with_it(aged: Aged) -> None:
    before = size(aged)
    report = aged.run()
    assert (report.problems, actions(report.done)) == ([], DONE)
    assert names(aged) == expected_names(aged)
    assert (parts(aged), rows(aged), aged.covered(), aged.faults()) == (ALL, aged.expected(), "100:139", [])
    after = size(aged)
    assert before > after
    assert report.freed == before - after
    again = aged.run()
    assert (again.problems, again.done) == ([], [])


def test_every_reader_reads_both(aged: Aged, stellarrow: Callable[..., Any]) -> None:
    aged.run()
    whole = sa.scan(aged.place, table="contract_data").to_reader().read_all()
    assert whole.num_rows == len(aged.expected())
    asked = "select count(*) as n, count(distinct ledger_sequence) as l from contract_data"
    told = stellarrow("sql", asked, "--data", aged.place, "--csv")
    ledgers = {row["ledger_sequence"] for row in aged.expected()}
    assert told.out.split() == ["n,l", f"{len(aged.expected())},{len(ledgers)}"]
    assert stellarrow("check", aged.place).code == 0


def test_zstd_of_others_reads_what_was_compressed(aged: Aged) -> None:
    aged.run()
    path = next(aged.place.glob("contract_data/**/*.zst"))
    text = pa.CompressedInputStream(pa.OSFile(str(path)), "zstd").read().decode()
    assert text.endswith("\n")
    assert '"' in text


def test_writing_goes_on_and_merging_too(aged: Aged) -> None:
    aged.run()
    sink = aged.sink()
    sink.write(aged.batch)
    sink.commit()
    sink.close()
    assert names(aged) == expected_names(aged)
    listing = aged.listing(aged.place)
    compact(listing, LedgerRange(100, 139))
    listing.store.close()
    assert (parts(aged), rows(aged), aged.faults()) == (["100:139"], aged.expected(), [])
    assert {ending for _, ending in names(aged)} == {endings(aged)[0]}  # it stays compressed


def test_what_was_compressed_is_archived_as_it_is(aged: Aged) -> None:
    aged.run()
    aged.policy = Policy(archive=10 * DAY)
    report = aged.run()
    assert actions(report.done) == [(ARCHIVE, table, part) for _, table, part in DONE]
    assert report.problems == []
    assert {one.name.partition(".")[2] for one in aged.old.glob("contract_data/**/0*.*.zst")} == {
        endings(aged)[0]
    }
    assert (aged.rows(), aged.covered(), aged.faults()) == (aged.expected(), "100:139", [])


def test_a_file_left_as_it_was_written_does_not_count_again_once_the_range_is_archived(aged: Aged) -> None:
    kept = {one: one.read_bytes() for one in aged.place.glob(f"contract_data/**/*109.{aged.format}")}
    aged.run()
    for path, data in kept.items():  # as who dies before they are removed leaves them
        path.write_bytes(data)
    assert rows(aged) == aged.expected()
    aged.policy = Policy(archive=10 * DAY)
    assert aged.run().problems == []
    assert not any(path.exists() for path in kept)
    assert (aged.rows(), aged.here(), aged.faults()) == (aged.expected(), "120:139", [])


@pytest.mark.parametrize("codec", ["gzip", "lz4"])
def test_lines_of_another_codec_are_compressed_anew(
    tmp_path: Path, ledgers: tuple[bytes, ...], codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifecycle.aged.format_of", lambda name: _format_of(name, codec))
    aged = cold(tmp_path, ledgers, "jsonl")
    assert aged.run().problems == []
    assert {ending for _, ending in names(aged)} == {
        "jsonl.zst",
        "jsonl.gz" if codec == "gzip" else "jsonl.lz4",
    }
    assert (rows(aged), aged.covered(), aged.faults()) == (aged.expected(), "100:139", [])


def _format_of(name: str, codec: str) -> Any:
    from stellarrow.sinks.files.reading import format_of  # noqa: PLC0415  the other is patched

    return format_of(name, codec)


def test_what_is_zstd_already_stays_as_it_is(
    tmp_path: Path, ledgers: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifecycle.aged.format_of", lambda name: _format_of(name, "zstd"))
    aged = cold(tmp_path, ledgers, "jsonl")
    assert aged.run().done == []


def test_what_somebody_reads_stays_as_it_is_until_the_next_run(aged: Aged) -> None:
    before = names(aged)
    with LocalFiles(aged.place).reading("contract_data/_manifest"):
        report = aged.run()
        assert (report.done, report.problems) == ([], [])
        assert report.in_use
        assert names(aged) == before
    assert aged.run().problems == []
    assert (names(aged), rows(aged), aged.faults()) == (expected_names(aged), aged.expected(), [])


def test_a_damaged_file_is_not_compressed_and_is_told(aged: Aged) -> None:
    path = next(aged.place.glob(f"contract_data/**/*109.{aged.format}"))
    held = bytearray(path.read_bytes())
    held[40] ^= 1
    path.write_bytes(held)
    report = aged.run()
    assert actions(report.done) == DONE[1:]
    assert f"109.{aged.format}" in report.problems[0]
    assert path.read_bytes() == held


def test_a_damaged_compressed_file_never_lets_the_one_it_was_made_of_go(aged: Aged) -> None:
    kept = {one: one.read_bytes() for one in aged.place.glob(f"contract_data/**/*109.{aged.format}")}
    aged.run()
    for path, data in kept.items():
        path.write_bytes(data)
    path = next(aged.place.glob("contract_data/**/*109.*.zst"))
    held = bytearray(path.read_bytes())
    held[len(held) // 2] ^= 1
    path.write_bytes(held)
    report = aged.run()
    assert path.name in report.problems[0]
    assert all(path.exists() for path in kept)


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKES)
def test_a_run_that_dies_at_any_step_changes_no_row_and_the_next_continues(
    tmp_path: Path, ledgers: tuple[bytes, ...], make: str
) -> None:
    aged = cold(tmp_path, ledgers, make, last=119)
    begin = tmp_path / "begin"
    copytree(aged.place, begin)
    for step in range(1, 400):
        is_dead = died(aged, step)
        assert aged.covered() == "100:119"
        assert rows(aged) == aged.expected()
        assert all(any(left in one.what for left in LEFT) for one in aged.faults()), "what is left, no damage"
        if is_dead:
            assert aged.run().problems == []
        assert aged.run().done == []
        assert {ending for _, ending in names(aged)} == {f"{aged.format}.zst"}
        assert (parts(aged), rows(aged), aged.covered(), aged.faults()) == (
            ALL[:2],
            aged.expected(),
            "100:119",
            [],
        )
        if not is_dead:
            break
        rmtree(aged.place)
        copytree(begin, aged.place)
    assert step > 6


@pytest.mark.slow
@pytest.mark.parametrize("make", ["jsonl", "csv"])
def test_a_disk_that_is_full_from_any_step_on_changes_no_row(
    tmp_path: Path, ledgers: tuple[bytes, ...], make: str
) -> None:
    for step in range(1, 100):
        aged = cold(tmp_path / str(step), ledgers, make, last=119)
        report = aged.run(store=Stepping(LocalFiles(aged.place), full_after(step)))  # type: ignore[arg-type]
        assert (rows(aged), aged.covered()) == (aged.expected(), "100:119")
        if not report.problems:
            break
        assert "No space left" in report.problems[0]
        assert aged.run().problems == []
        assert (rows(aged), aged.faults()) == (aged.expected(), [])
    assert step > 4


def test_lines_that_become_no_smaller_stay_as_they_were_and_are_not_tried_again(
    aged: Aged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellarrow.lifecycle.compressing._size", lambda files: len([*files]))
    before = names(aged)
    assert [step.stays for step in aged.run().done] == [True, True]
    assert names(aged) == before
    assert (aged.run().done, aged.faults()) == ([], [])
