"""What `event_types` may name in each table: the words that the core knows."""

from __future__ import annotations

from stellarrow import _core


def event_words(table: str) -> tuple[str, ...]:
    """Return the words that a table's events and operations are named by; none where any may be."""
    return tuple(_core.event_words(table))
