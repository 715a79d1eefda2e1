"""What every sink of files must do with damage, planted files and stores that fail; its test inherits it."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from sinks.contract import SinkContract
from sinks.stepping import Died, Stepping, dying_at
from stellarrow.errors import Damaged
from stellarrow.sinks.files.compaction import compact, windows
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.manifest import checksum
from stellarrow.sinks.files.quarantine import quarantined
from stellarrow.sinks.files.reading import listings
from stellarrow.sinks.files.superseding import Contradicted, clean
from stellarrow.sinks.files.verify import Fault, Foreign, check, repair
from stellarrow.storage import local_files, walking
from stellarrow.storage.files import FileStore


class HarmContract(SinkContract):
    """Promises of files that were flipped, renamed, planted, or cannot be read just now."""

    partition: str

    @property
    def harmed(self) -> str:
        """Name the table whose files are harmed."""
        return self.tables[1]

    @property
    def root(self) -> Path:
        """Return the folder of this machine that holds the files."""
        raise NotImplementedError

    def store(self) -> FileStore:
        raise NotImplementedError

    def move(self, name: str) -> None:
        raise NotImplementedError

    def files(self) -> dict[str, bytes]:
        raise NotImplementedError

    def listing(self, table: str) -> Listing:
        raise NotImplementedError

    def compact(self) -> int:
        """Merge what can be merged, in every table."""
        raise NotImplementedError

    def data(self, first: int, last: int) -> list[Path]:
        """Return the files that hold rows of a range."""
        found = self.root.glob(f"{self.harmed}/**/{first:010d}-{last:010d}.*")
        return sorted(path for path in found if "_manifest" not in path.parts)

    def entry(self, first: int, last: int) -> Path:
        return self.root / self.harmed / "_manifest" / f"{first:010d}-{last:010d}.json"

    def one_file_a_ledger(self) -> None:
        sink: Any = self.open()
        for ledger in range(100, 104):
            sink.write(self.batch(ledger, ledger))
            sink.commit()
        sink.close()

    def compact_table(self) -> int:
        table = self.listing(self.harmed)
        return sum(compact(table, around) for around in windows(table, 10))

    def flip(self, path: Path) -> bytes:
        held = path.read_bytes()
        middle = len(held) // 2
        path.write_bytes(held[:middle] + bytes([held[middle] ^ 1]) + held[middle + 1 :])
        return held

    def plant(self, source: tuple[int, int], name: tuple[int, int], *, entered: bool) -> None:
        """Put the files of a range under the name of another, with or without an entry that fits them."""
        old, new = (f"{first:010d}-{last:010d}" for first, last in (source, name))
        entry = json.loads(self.entry(*source).read_bytes())
        for path in self.data(*source):
            shutil.copy(path, path.with_name(path.name.replace(old, new)))
        entry |= {"first_ledger": name[0], "last_ledger": name[1]}
        for file in entry["files"]:
            file["path"] = file["path"].replace(old, new)
            held = (self.root / self.harmed / file["path"]).read_bytes()
            file |= {"bytes": len(held), "sha256": sha256(held).hexdigest()}
        if entered:
            entry["checksum"] = checksum({key: answer for key, answer in entry.items() if key != "checksum"})
            self.entry(*name).write_text(json.dumps(entry))
        else:
            self.entry(*name).unlink(missing_ok=True)

    def faults(self) -> list[Fault]:
        return [one for table in listings(self.store()) for one in check(table) if isinstance(one, Fault)]

    def repair(self, store: FileStore | None = None) -> sa.LedgerSet:
        lost = sa.LedgerSet()
        for table in listings(store or self.store()):
            wrong = [one for one in check(table) if isinstance(one, Fault)]
            lost |= repair(table, wrong).lost if wrong else sa.LedgerSet()
        return lost

    def kept(self) -> dict[str, bytes]:
        return {path: held for path, held in self.files().items() if not path.startswith("_quarantine/")}

    def test_a_flip_before_compaction_is_told_and_never_merged(self) -> None:
        self.one_file_a_ledger()
        flipped = self.data(102, 102)[0]
        self.flip(flipped)
        before = self.files()
        with pytest.raises(Damaged, match=f"{flipped.name} has other bytes than it was written with"):
            self.compact_table()
        assert self.files() == before
        assert [str(one.ledgers) for one in self.faults()] == ["102"]
        assert str(self.repair()) == "102"
        self.keep((100, 103))
        self.compact()
        self.assert_holds("100:103")

    def test_a_flip_is_told_by_the_compaction_that_follows_by_itself(self) -> None:
        sink: Any = self.open()
        for ledger in range(100, 109):
            sink.write(self.batch(ledger, ledger))
            sink.commit()
        self.flip(self.data(104, 104)[0])
        with pytest.raises(Damaged, match="has other bytes than it was written with"):
            self.end_of_window(sink)
        sink.close()
        assert all(self.data(ledger, ledger) for ledger in range(100, 110))

    def end_of_window(self, sink: Any) -> None:
        sink.write(self.batch(109, 109))
        sink.commit()
        sink._compactions.wait()  # it has a thread of its own

    @pytest.mark.parametrize("entered", [True, False])
    def test_a_file_of_other_ledgers_under_a_right_name_is_damage(self, *, entered: bool) -> None:
        if self.partition != "ledgers" and not entered:
            return  # without an entry it is no file of the table
        self.one_file_a_ledger()
        self.plant((100, 100), (102, 102), entered=entered)
        before = self.files()
        with pytest.raises(Damaged):
            self.compact_table()
        if not entered:
            with pytest.raises(Damaged):
                self.open().coverage()
        assert self.files() == before
        assert {str(one.ledgers) for one in self.faults()} == {"102"}
        assert str(self.repair()) == "102"
        self.keep((100, 103))
        self.assert_holds("100:103")

    @pytest.mark.parametrize("entered", [True, False])
    def test_a_planted_wider_range_removes_nothing_and_covers_nothing(self, *, entered: bool) -> None:
        if self.partition != "ledgers" and not entered:
            return
        self.one_file_a_ledger()
        self.plant((101, 101), (100, 109), entered=entered)
        before = self.files()
        for opening in (lambda: self.open().coverage(), lambda: clean(self.listing(self.harmed))):
            with pytest.raises((Damaged, Contradicted)):
                opening()
        assert self.files() == before
        assert self.faults()
        self.repair()
        assert all(self.data(ledger, ledger) for ledger in range(100, 104))

    def test_a_damaged_wider_range_leaves_the_narrower_ones(self) -> None:
        self.one_file_a_ledger()
        narrow = {path: held for path, held in self.files().items() if f"{self.harmed}/" in path}
        self.compact()
        for path, held in narrow.items():
            whole = self.root / path
            whole.parent.mkdir(exist_ok=True, parents=True)
            whole.write_bytes(held)
        self.flip(self.data(100, 103)[0])
        with pytest.raises(Damaged, match="has other bytes than it was written with"):
            self.open().coverage()
        assert self.repair() == sa.LedgerSet()
        self.assert_holds("100:103")

    def test_narrower_ranges_go_once_the_wider_one_is_proven(self) -> None:
        self.one_file_a_ledger()
        narrow = {path: held for path, held in self.files().items() if f"{self.harmed}/" in path}
        self.compact()
        merged = self.files()
        for path, held in narrow.items():
            whole = self.root / path
            whole.parent.mkdir(exist_ok=True, parents=True)
            whole.write_bytes(held)
        self.assert_holds("100:103")
        clean(self.listing(self.harmed))
        assert self.files() == merged

    def test_repair_that_dies_at_any_step_loses_nothing_that_is_sound(self) -> None:
        for step in range(1, 60):
            self.move(f"repair-{step}")
            self.keep((100, 129))
            before = self.files()
            held = self.flip(self.data(110, 119)[0])
            try:
                self.repair(Stepping(self.store(), dying_at(step)))
            except Died:
                now = self.files()
                for path, content in before.items():
                    moved = [now[one] for one in now if one == path or one.endswith(f"Z/{path}")]
                    assert content in moved or held == content
                self.repair()
                self.keep((100, 129))
                self.assert_holds("100:129")
                continue
            break
        assert 1 < step < 59

    def test_what_is_set_aside_is_listed_and_neither_read_nor_covered(self) -> None:
        self.keep((100, 119))
        whole = self.files()
        flipped = self.data(100, 109)[0]
        self.flip(flipped)
        damaged = flipped.read_bytes()
        assert str(self.repair()) == "100:109"
        held = [one.path for one in quarantined(self.store())]
        assert damaged in [self.files()[path] for path in held]
        assert {table.shape.folder for table in listings(self.store())} == set(self.tables)
        assert str(self.listing(self.harmed).ranges()) == "110:119"
        self.keep((100, 119))
        assert self.kept() == whole
        assert self.faults() == []

    def test_foreign_files_are_listed_and_never_touched(self) -> None:
        self.keep((100, 109))
        foreign = self.root / self.harmed / "_mine" / "readme.txt"
        foreign.parent.mkdir()
        foreign.write_text("mine")
        found = [one for one in check(self.listing(self.harmed)) if not hasattr(one, "rows")]
        assert found == [Foreign(f"{self.harmed}/_mine/readme.txt")]
        self.flip(self.data(100, 109)[0])
        self.repair()
        self.keep((100, 109))
        assert foreign.read_text() == "mine"

    def fragile_store(self) -> FileStore:
        """Open the store in a way that `break_store` reaches."""
        return self.store()

    def break_store(self) -> None:
        """Let the store give no files of the table, though it lists and removes them."""
        for module in (local_files, walking):
            self.patched.setattr(module, "irregularity", lambda *_: None)
        for path in self.data(100, 100):
            self.broken[path] = path.read_bytes()
            path.unlink()
            path.symlink_to("/proc/self/mem")  # a file that opens, and answers EIO when it is read

    def mend_store(self) -> None:
        for path, held in self.broken.items():
            path.unlink()
            path.write_bytes(held)

    @pytest.fixture(autouse=True)
    def _nothing_broken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.broken: dict[Path, bytes] = {}
        self.patched = monkeypatch

    def test_a_store_that_does_not_answer_ends_check_repair_and_compaction_with_nothing_moved(self) -> None:
        self.one_file_a_ledger()
        store = self.fragile_store()
        table = next(one for one in listings(store) if one.shape.folder == self.harmed)
        before = self.files()
        fault = Fault("x", "is damaged", sa.LedgerRange(100, 100))
        self.break_store()
        for doing in (
            lambda: list(check(table)),
            lambda: repair(table, [fault]),
            lambda: compact(table, sa.LedgerRange(100, 109)),
        ):
            with pytest.raises(sa.SinkError) as refused:
                doing()
            assert not isinstance(refused.value, Damaged)
        self.mend_store()
        assert self.files() == before
        self.assert_holds("100:103")
