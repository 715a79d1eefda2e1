"""Tables without a number that has no sign, for readers that know no others: the same values, kept alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import stellarrow as sa
from sinks.kept import FormatContract
from stellarrow.cli import invoke
from stellarrow.core.tables import table_names
from stellarrow.sinks.files.signed import signed


class SignedContract(FormatContract):
    """A sink of files whose whole numbers have a sign."""

    def choices(self) -> dict[str, Any]:
        return {**super().choices(), "unsigned": "signed"}

    def test_no_number_is_without_a_sign(self) -> None:
        self.keep((100, 104))
        for table in self.tables:
            kinds = {str(field.type) for field in self.listing(table).shape.schema}
            assert not [kind for kind in kinds if kind.startswith("uint")]


class TestSignedParquet(SignedContract):
    """Parquet of ten ledgers a file."""

    def test_any_reader_of_parquet_sees_signs(self) -> None:
        self.keep((100, 109))
        path = self.folder / "ledgers" / "0000000100-0000000109.parquet"
        answer = pq.read_schema(path)
        assert answer.field("ledger_sequence").type == pa.int64()
        assert answer.equals(signed(sa.schema("ledgers")), check_metadata=True)
        assert pq.read_table(path).column("ledger_sequence").to_pylist() == list(range(100, 110))


class TestSignedPartitions(SignedContract):
    """The same in a folder an event type."""

    partition = "event_type"


class TestSignedJsonLines(SignedContract):
    """JSON lines of ten ledgers a file."""

    format = "jsonl"


class TestSignedCsv(SignedContract):
    """CSV of ten ledgers a file."""

    format = "csv"


@pytest.fixture
def extract(
    capsys: pytest.CaptureFixture[str], make_lake: Callable[..., Path]
) -> Callable[[str], tuple[int, str]]:
    """Extract twenty ledgers to a place; return the exit code and what is said of errors."""
    lake = make_lake()

    def run(place: str) -> tuple[int, str]:
        tables = "ledgers,contract_events,transactions"
        code = invoke(["extract", str(lake), "--tables", tables, "--ledgers", "100:119", "--to", place])
        return code, capsys.readouterr().err

    return run


Extract = Callable[[str], tuple[int, str]]


def held(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_table_has_a_signed_form_that_holds_every_value() -> None:
    for name in table_names("all"):
        table = sa.schema(name, decoded=True)
        for before, after in zip(table, signed(table), strict=True):
            assert not pa.types.is_unsigned_integer(after.type)
            assert (before.name, before.nullable, before.metadata) == (
                after.name, after.nullable, after.metadata,
            )  # fmt: skip
            if pa.types.is_unsigned_integer(before.type):
                top = pa.array([2**before.type.bit_width - 1], before.type)
                assert int(top.cast(after.type)[0].as_py()) == 2**before.type.bit_width - 1


@pytest.mark.parametrize("place", ["parquet", "jsonl", "csv", "parquet?partition=event_type"])
def test_signed_files_are_asked_like_any_other(
    extract: Extract, capsys: pytest.CaptureFixture[str], tmp_path: Path, place: str
) -> None:
    kind, _, more = place.partition("?")
    query = "select count(*) n, sum(ledger_sequence) s, min(ledger_sequence - 200) d from contract_events"
    lines = []
    for name, option in (("plain", ""), ("signed", "unsigned=signed")):
        options = "&".join(part for part in (more, option) if part)
        where = f"{kind}:{tmp_path / name}" + (f"?{options}" if options else "")
        for _ in range(2):  # the second finds all there
            assert extract(where) == (0, "")
        assert invoke(["check", where]) == 0
        assert invoke(["coverage", where, "--verify"]) == 0
        capsys.readouterr()
        assert invoke(["sql", query, "--data", str(tmp_path / name), "--csv"]) == 0
        lines.append(capsys.readouterr().out)
    assert lines[0] == lines[1]
    assert ",-100\n" in lines[1]  # a difference below zero


@pytest.mark.parametrize(("first", "then"), [("unsigned", "signed"), ("signed", "unsigned")])
@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_a_folder_is_of_one_kind_and_the_refusal_names_what_to_ask_for(
    extract: Extract, tmp_path: Path, kind: str, first: str, then: str
) -> None:
    place = f"{kind}:{tmp_path}/out?unsigned="
    assert extract(place + first) == (0, "")
    before = held(tmp_path)
    code, said = extract(place + then)
    assert code == 1
    assert f"was written with unsigned {first!r}, not {then!r}: ask for the same again" in said
    assert held(tmp_path) == before


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_a_folder_of_a_version_that_had_no_choice_is_continued_as_it_is(
    extract: Extract, tmp_path: Path, kind: str
) -> None:
    place = f"{kind}:{tmp_path}/out"
    assert extract(place) == (0, "")
    entries = list((tmp_path / "out").rglob("_manifest/*.json"))
    assert entries
    assert not [path for path in entries if "unsigned" in json.loads(path.read_text())]
    assert extract(f"{place}?unsigned=unsigned") == (0, "")
    code, said = extract(f"{place}?unsigned=signed")
    assert (code, "'unsigned', not 'signed'" in said) == (1, True)


def test_an_unknown_choice_is_refused_with_those_there_are(extract: Extract, tmp_path: Path) -> None:
    code, said = extract(f"parquet:{tmp_path}/out?unsigned=int64")
    assert code == 2
    assert "unsigned='int64' is unknown: choose signed" in said
    assert not (tmp_path / "out").exists()
