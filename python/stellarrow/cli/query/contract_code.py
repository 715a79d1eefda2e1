"""A contract's code, looked up in what extract wrote, whatever its format and partitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stellarrow.errors import SourceError
from stellarrow.filter import Filter
from stellarrow.scanning.spec_places import code_of
from stellarrow.sinks.files.dataset import ExtractedTable
from stellarrow.sinks.files.location import open_files
from stellarrow.sinks.files.reading import listings


def extracted_code(contract: str, data: Path) -> bytes:
    """Return the newest code of a contract (C…) in the tables below a folder."""
    if not data.is_dir():
        raise SourceError(f"{data} does not exist: name the folder that extract wrote to with --data")
    tables = _tables(data)
    newest = _newest_instance(tables, contract)
    if newest is None:
        raise SourceError(
            f"no instance of {contract} is in {data}: extract contract_data of the ledgers that wrote it"
        )
    if newest["contract_instance_type"] == "stellar_asset":
        raise SourceError(f"{contract} is a Stellar Asset Contract: it has no code of its own")
    wasm_hash = newest["contract_instance_wasm_hash"]
    if not wasm_hash:
        raise SourceError(
            f"{contract} names no code of its own: its instance is of type {newest['contract_instance_type']}"
        )
    if (code := code_of(wasm_hash, data)) is not None:
        return code
    raise SourceError(
        f"the code {wasm_hash} of {contract} is not in {data}: extract contract_code with --decoded from the"
        " ledgers that uploaded it"
    )


def _tables(data: Path) -> list[ExtractedTable]:
    return [ExtractedTable(listing) for listing in listings(open_files(data))]


def _newest_instance(tables: Sequence[ExtractedTable], contract: str) -> dict[str, Any] | None:
    columns = ["ledger_sequence", "contract_instance_type", "contract_instance_wasm_hash"]
    newest: dict[str, Any] | None = None
    for row in _rows(tables, "contract_data", f"contract_id = '{contract}'", columns):
        # Rows of a ledger come in the order of its changes.
        if row["contract_instance_type"] and (
            newest is None or row["ledger_sequence"] >= newest["ledger_sequence"]
        ):
            newest = row
    return newest


def _rows(
    tables: Sequence[ExtractedTable], name: str, where: str, columns: list[str]
) -> Iterator[dict[str, Any]]:
    asked = Filter(where=where, select=", ".join(columns))
    for table in tables:
        if table.listing.shape.facts["table"] == name and {*columns} <= {*table.schema.names}:
            for rows in table.batches(asked, None)():
                yield from rows.to_pylist()
