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
    lines = (line.strip() for line in str(error).strip().splitlines()[1:])
    found = next((line for line in lines if line.startswith(_HINTS)), "")
    _, _, names = found.partition("Candidate bindings")
    return f"Did you mean {names.lstrip(': ')}?" if names else found
