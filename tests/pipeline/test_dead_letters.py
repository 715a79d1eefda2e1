from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import stellarrow as sa
from stellarrow.pipeline.dead_letters import DeadLetters

WRONG = sa.DecodeError("ledger 7: no such arm", ledger=7, path="v2.ext", offset=12)


@pytest.fixture
def letters(tmp_path: Path) -> DeadLetters:
    return DeadLetters(tmp_path / "state" / "dead", job={"to": ["parquet:./out"]})


def test_a_ledger_is_kept_whole_with_all_that_is_known(letters: DeadLetters) -> None:
    letters.put(b"\x00\x01", "single", 7, WRONG, "lake/7.xdr", tables=["ledgers"])
    (letter,) = DeadLetters(letters.folder).entries()
    assert (letter.ledger, letter.last, letter.kind, letter.path, letter.offset) == (
        *(7, 7, "DecodeError"),
        *("v2.ext", 12),
    )
    assert (letter.message, letter.where, letter.tables) == (
        *("ledger 7: no such arm", "lake/7.xdr"),
        ("ledgers",),
    )
    assert letter.job == {"to": ["parquet:./out"]}
    assert letter.at.endswith("+00:00")
    chunk = letters.chunk(letter)
    assert (chunk.data, chunk.framing, chunk.first, chunk.last) == (b"\x00\x01", "single", 7, 7)


def test_the_same_letter_twice_is_one(letters: DeadLetters) -> None:
    letters.put(b"\x00", "single", 7, WRONG, "here")
    letters.put(b"\x00", "single", 7, WRONG, "here")
    assert len(letters.entries()) == 1


def test_two_jobs_that_fail_over_a_ledger_have_a_letter_each(letters: DeadLetters) -> None:
    other = DeadLetters(letters.folder, job={"to": ["parquet:./other"]})
    mine = letters.put(b"\x00", "single", 7, WRONG, "here")
    theirs = other.put(b"\x00", "single", 7, WRONG, "here")
    letters.forget(mine)
    assert letters.get(7) == [theirs]


def test_letters_come_in_ledger_order_and_are_found_by_ledger(letters: DeadLetters) -> None:
    for ledger in (58_752_000, 9, 100):
        letters.put(b"\x00", "single", ledger, WRONG, "here")
    assert [letter.ledger for letter in letters.entries()] == [9, 100, 58_752_000]
    assert [letter.ledger for letter in letters.get(100)] == [100]
    assert letters.get(8) == []


def test_what_is_dropped_is_gone_and_twice_is_harmless(letters: DeadLetters) -> None:
    letters.put(b"\x00", "single", 7, WRONG, "here")
    letter = letters.put(b"\x01", "single", 8, WRONG, "here")
    assert (letters.drop(7), letters.drop(7)) == (1, 0)
    assert letters.entries() == [letter]
    letters.forget(letter)
    letters.forget(letter)
    assert list(letters.folder.iterdir()) == []


def test_a_folder_that_is_not_there_holds_nothing_and_is_not_made(letters: DeadLetters) -> None:
    assert letters.entries() == []
    assert letters.drop(7) == 0
    assert not letters.folder.exists()


def test_bytes_that_changed_are_told(letters: DeadLetters) -> None:
    letter = letters.put(b"\x00", "single", 7, WRONG, "here")
    path = letters.folder / f"{letter.name}.xdr"
    path.write_bytes(b"\x01")
    with pytest.raises(sa.SourceError, match="is not what was put there"):
        letters.chunk(letter)
    path.unlink()
    with pytest.raises(sa.SourceError, match="No such file"):
        letters.chunk(letter)


def test_a_letter_under_another_name_is_no_letter(letters: DeadLetters, tmp_path: Path) -> None:
    letter = letters.put(b"\x00", "single", 7, WRONG, "here")
    mine = tmp_path / "mine.xdr"
    mine.write_text("mine")
    path = letters.folder / f"{letter.name}.json"
    path.write_text(path.read_text().replace(letter.name, "../../mine"))
    with pytest.raises(sa.SourceError, match=r"is no dead letter \(it says that its name is \.\./\.\./mine"):
        letters.drop(7)
    assert mine.read_text() == "mine"


def test_a_letter_whose_ledger_was_flipped_outlasts_that_of_another_ledger(letters: DeadLetters) -> None:
    letter = letters.put(b"\x00", "single", 7, WRONG, "here", tables=["ledgers"])
    path = letters.folder / f"{letter.name}.json"
    held = path.read_text()
    path.write_text(held.replace('"ledger": 7', '"ledger": 6').replace('"last": 7', '"last": 6'))
    letters.close_gaps(sa.LedgerSet([sa.LedgerRange(6, 6)]))
    assert len(letters.damaged()) == 1
    path.write_text(held)
    letters.close_gaps(sa.LedgerSet([sa.LedgerRange(7, 7)]))
    assert letters.entries() == []


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"tables": []}'])
def test_a_damaged_letter_is_named(letters: DeadLetters, content: str) -> None:
    letters.folder.mkdir(parents=True)
    (letters.folder / "0000000007-aa.json").write_text(content)
    sound = letters.put(b"\x00", "single", 8, WRONG, "here")
    (answer,) = letters.damaged()
    assert "0000000007-aa.json is no dead letter" in str(answer)
    assert letters.entries() == [sound]


def test_a_place_one_cannot_write_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(sa.SinkError, match="cannot be kept"):
        DeadLetters(tmp_path / "file" / "dead").put(b"", "single", 7, WRONG, "here")


def test_a_letter_killed_while_it_is_written_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom stellarrow.pipeline.dead_letters import DeadLetters\n"
        "letters = DeadLetters(sys.argv[1])\nprint('on', flush=True)\n"
        "for ledger in range(10**9): letters.put(bytes(200_000), 'single', ledger, ValueError('x'), 'here')"
    )
    for wait in (0.02, 0.05, 0.08):
        writer = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE)
        assert writer.stdout
        writer.stdout.readline()
        time.sleep(wait)
        writer.kill()
        writer.wait()
        writer.stdout.close()
        letters = DeadLetters(tmp_path)
        assert all(len(letters.chunk(letter).data) == 200_000 for letter in letters.entries())
    assert json.loads(next(tmp_path.glob("*.json")).read_bytes())["size"] == 200_000


def test_no_flipped_bit_of_a_letter_changes_what_it_says(letters: DeadLetters) -> None:
    letter = letters.put(b"\x00\x01", "single", 7, WRONG, "lake/7.xdr", tables=["ledgers"])
    other = letters.put(b"\x00\x01", "single", 8, WRONG, "lake/8.xdr", tables=["ledgers"])
    path = letters.folder / f"{letter.name}.json"
    sound = path.read_bytes()
    for bit in range(len(sound) * 8):
        data = bytearray(sound)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        held, damaged = letters.entries(), letters.damaged()
        assert (held, len(damaged)) in (([letter, other], 0), ([other], 1)), bit
        assert path.read_bytes() == data
    path.write_bytes(sound)
    content = path.with_suffix(".xdr")
    content.write_bytes(b"\x00\x03")
    with pytest.raises(sa.SourceError, match="is not what was put there"):
        letters.chunk(letter)


def test_a_letter_of_the_version_before_is_read(letters: DeadLetters) -> None:
    letter = letters.put(b"\x00\x01", "single", 7, WRONG, "lake/7.xdr", tables=["ledgers"])
    path = letters.folder / f"{letter.name}.json"
    held = json.loads(path.read_bytes())
    del held["format"], held["checksum"]
    path.write_text(json.dumps(held, indent=1))
    assert letters.entries() == [letter]
