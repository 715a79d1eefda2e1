"""What is wrong with a query that is right, and takes more than it may."""

from __future__ import annotations

from stellarrow.errors import ConfigError


class OutOfBounds(ConfigError):
    """A query takes more time or memory than it may, or has a larger answer."""


class TookTooLong(OutOfBounds):
    """A query takes more time than it may."""


class TooLarge(OutOfBounds):
    """A query takes more memory than it may, or has a larger answer."""
