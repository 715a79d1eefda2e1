"""Contract events as a line a person reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa

from stellarrow.cli.output import formatting
from stellarrow.core.contract import describe

_LONGEST: Final = 110  # characters a line


def in_words(
    rows: pa.RecordBatch | pa.Table, at_most: int, *, seen: set[tuple[Any, Any]] | None = None
) -> Iterator[str]:
    """Say events in words, no two of the same contract and name, until there are enough.

    What is `seen` already counts, and what is said is added to it.
    """
    seen = set() if seen is None else seen
    names, contracts = rows.column("event_name"), rows.column("contract_id")
    for row in range(rows.num_rows):
        if len(seen) == at_most:
            return
        kind = names[row].as_py(), contracts[row].as_py()
        if kind[0] is None or kind in seen:
            continue
        seen.add(kind)
        yield _in_words(rows.slice(row, 1).to_pylist()[0])


def _in_words(event: dict[str, Any]) -> str:
    contract = formatting.address(event["contract_id"] or "no contract")
    topics = ", ".join(describe(topic) for topic in event["topics_xdr"][1:])
    words = f"{event['event_name']}({topics}) → {describe(event['data_xdr'])}"  # as the column event_text
    line = formatting.shortened(f"{words}, by {contract}")
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
