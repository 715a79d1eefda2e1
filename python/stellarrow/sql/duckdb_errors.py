"""What DuckDB says is wrong with a query, in words that need no knowledge of its insides."""

from __future__ import annotations

import re
from typing import Final

_KIND: Final = re.compile(r"^(?:[A-Z][A-Za-z-]* )+Error: ")
_WORDS: Final = (
    (re.compile(r"^Table with name (.+) does not exist!"), r"there is no table \1."),
    (re.compile(r'^Referenced column "(.+)" not found in FROM clause!'), r'there is no column "\1".'),
    (re.compile(r'^Table "(.+)" does not have a column named "(.+)"'), r'\1 has no column "\2".'),
    (re.compile(r"^(?:Scalar |Table )?Function with name (.+) does not exist!"), r"there is no function \1."),
)
_FUNCTIONS: Final = "Candidate functions:"  # how each is called stands in the lines below
_FORMS: Final = 3  # of a function that are told
_ASKED: Final = re.compile(r"^(?:Did you mean|Candidate \w+)")
_HINTS: Final = ("Did you mean", "Candidate")


def reason_of(error: object) -> str:
    """Return the first line of what DuckDB says, as a sentence."""
    said = _KIND.sub("", str(error).strip().partition("\n")[0]).strip()
    for pattern, words in _WORDS:
        said = pattern.sub(words, said)
    return said if said.endswith((".", "!", "?", ":")) else f"{said}."


def sentence(error: object) -> str:
    """Return what DuckDB says is wrong, with its hint, and without what is about its insides."""
    return f"{reason_of(error)} {hint_of(error)}".strip()


def hint_of(error: object) -> str:
    """Return which names DuckDB thinks were meant; empty where it has none."""
    lines = [line.strip() for line in str(error).strip().splitlines()[1:]]
    at = next((place for place, line in enumerate(lines) if line.startswith(_HINTS)), len(lines))
    if not (found := "".join(lines[at : at + 1])):
        return ""
    if found == _FUNCTIONS:
        forms = [one for one in lines[at:] if " -> " in one]
        return f"It may be: {'; '.join(forms[:_FORMS])}." if forms else ""
    names = _ASKED.sub("", found).strip(" :?.")
    return f"Did you mean {names}?"
