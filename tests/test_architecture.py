"""ARCHITECTURE names files that are there, and answers each question with one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import stellarrow

ROOT = Path(__file__).parents[1]
PACKAGE = Path(stellarrow.__file__).parent
TEXT = (ROOT / "ARCHITECTURE.md").read_text()
TABLE = TEXT.partition("## Where is …?")[2].partition("\n## ")[0]
FILE = re.compile(r"`([\w./<>*-]*(?:\.(?:py|rs|md)|/))`")


def answers() -> Iterator[tuple[str, str]]:
    for line in TABLE.splitlines():
        if line.startswith("| ") and "---" not in line and line != "| question | file |":
            _, question, answer, _ = line.split("|")
            yield question.strip(), answer.strip()


def there(name: str) -> bool:
    """Tell whether a file is there, by its path or, where the text has named its room, by its name."""
    rooms = (ROOT, PACKAGE, ROOT / "crates/core/src")
    if any((room / name).exists() for room in rooms):
        return True
    return "/" not in name and any(True for room in (PACKAGE, ROOT / "crates") for _ in room.rglob(name))


@pytest.mark.parametrize(("question", "answer"), list(answers()))
def test_each_question_is_answered_by_one_file(question: str, answer: str) -> None:
    name = FILE.fullmatch(answer)
    assert name, f"{question} is answered by {answer}, not by one file"
    assert (PACKAGE / name[1]).is_file() or (ROOT / name[1]).is_file()


def test_there_are_answers() -> None:
    assert len(list(answers())) >= 13


def test_every_file_that_is_named_is_there() -> None:
    named = {name for name in FILE.findall(TEXT) if "<" not in name}
    assert len(named) > 60
    assert sorted(name for name in named if not there(name)) == []


def test_it_stays_short() -> None:
    assert TEXT.count("\n") < 150
