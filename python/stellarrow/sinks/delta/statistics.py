"""What a file's entry in the log tells of its columns, so that readers pass over whole files."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any, Final

import pyarrow.parquet as pq

_LONGEST: Final = 64  # characters: a contract's id has 56


def statistics(footer: pq.FileMetaData) -> str:
    """Return rows, least and greatest values and nulls of a file, as Delta writes them."""
    least: dict[str, Any] = {}
    greatest: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for at in range(footer.num_columns):
        held = [footer.row_group(group).column(at) for group in range(footer.num_row_groups)]
        name = held[0].path_in_schema if held else ""
        found = [one.statistics for one in held]
        if not held or "." in name or not all(found):
            continue
        if all(one.has_null_count for one in found):
            nulls[name] = sum(one.null_count for one in found)
        told = [one for one in found if one.has_min_max]
        if not told or any(not one.has_min_max and one.num_values for one in found):
            continue
        low, high = _shown(min(one.min for one in told)), _shown(max(one.max for one in told))
        if low is not None and high is not None:
            least[name], greatest[name] = low, high
    return json.dumps(
        {"numRecords": footer.num_rows, "minValues": least, "maxValues": greatest, "nullCount": nulls},
        separators=(",", ":"),
        ensure_ascii=False,
    )


def _shown(value: Any) -> Any:
    """Return a value as JSON has it; None for what readers do not agree on how to write."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else None
    if isinstance(value, datetime):
        if value.microsecond % 1_000:
            return None  # readers take milliseconds
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1_000:03d}Z"
    if isinstance(value, date):
        return value.isoformat()
    return None
