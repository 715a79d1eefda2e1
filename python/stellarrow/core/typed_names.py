"""What contracts' own tables are called in a place that has one name a table."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from stellarrow.core.tables import TYPED

_LONGEST: Final = 45  # of a name; behind it there may be a partition's first ledger, or `_state`
_OWNER: Final = 12  # characters of a contract's id or a code's hash
_DIGEST: Final = 8
_PARTED: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def short_name(name: str) -> str:
    """Return what a table such as `typed:CONTRACT/events/SetAdmin` is called: `cabc…_set_admin`."""
    target, _, rest = name.removeprefix(TYPED).partition("/")
    rows, _, last = rest.partition("/")
    kind = "" if rows == "events" else f"{rows}_"
    plain = re.sub(r"[^a-z0-9_]", "_", _PARTED.sub("_", last).lower())
    short = f"{target[:_OWNER].lower()}_{kind}{plain}"
    if len(short) > _LONGEST or not last.isidentifier():
        short = f"{short[: _LONGEST - _DIGEST - 1]}_{digest_of(name)}"
    return short


def digest_of(name: str) -> str:
    """Return what stands behind a name that could not be kept as it is."""
    return hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
