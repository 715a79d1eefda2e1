"""Whole numbers without a sign as wider ones with it, for readers that know no others."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from stellarrow.errors import ConfigError

CHOICES: Final = ("unsigned", "signed")
_WIDER: Final = {pa.uint32(): pa.int64(), pa.uint64(): pa.decimal128(20, 0)}


def checked(choice: str) -> str:
    """Return the choice, if it is one."""
    if choice not in CHOICES:
        raise ConfigError(
            f"unsigned={choice!r} is unknown: choose signed (int64 and decimal instead) or unsigned"
        )
    return choice


def signed(schema: pa.Schema) -> pa.Schema:
    """Return a schema whose numbers all have a sign."""
    fields = [field.with_type(_WIDER.get(field.type, field.type)) for field in schema]
    return pa.schema(fields, schema.metadata)
