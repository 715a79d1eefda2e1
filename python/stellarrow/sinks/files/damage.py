"""How people are told of a file that is damaged."""

from __future__ import annotations

from stellarrow.errors import Damaged


def damaged(file: str, what: str) -> Damaged:
    """Return what is proven of a file, with what to do."""
    return Damaged(f"{file} {what}: run stellarrow check --repair, then the same again", what=what)
