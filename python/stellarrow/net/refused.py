"""What is wrong with a question, and which part of it."""

from __future__ import annotations

from stellarrow.errors import ConfigError


class Refused(ConfigError):
    """A part of a question makes no sense; `field` is its name."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field
