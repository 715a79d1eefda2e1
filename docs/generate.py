"""Write docs/tables/ from what the core says of its tables; with --check only say what is out of date."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa

import stellarrow as sa
from stellarrow.decode import Table, keys

_FOLDER = Path(__file__).parent / "tables"
_OF_CONTRACTS = ("contract_ids", "asset_codes", "asset_issuers")
# What of a Filter a table can answer; the rest does not touch it.
_FILTERS = {
    "contract_code": ("include_deleted",),
    "contract_data": (*_OF_CONTRACTS, "include_deleted"),
    "contract_events": (*_OF_CONTRACTS, "event_names", "event_types"),
    "evictions": _OF_CONTRACTS,
    "ledgers": (),
    "token_transfer_anomalies": (*_OF_CONTRACTS, "event_names", "event_types"),
    "token_transfers": (*_OF_CONTRACTS, "event_types", "accounts"),
    "transactions": (),
    "ttl": ("include_deleted",),
}
# Why a filter that one might expect is not among them.
_UNANSWERED = {
    "contract_code": "Code does not tell which contracts run it.",
    "ttl": "An entry's time to live names the entry by a hash, which does not tell its contract.",
    "evictions": "Of evicted entries only contract data tells its contract; the others do not pass these.",
}


def page(versions: list[Table]) -> str:
    """Return a table's page: its versions from new to old, a row a column."""
    newest = versions[-1]
    lines = [f"# {newest.name}", "", newest.description, "", _filters(newest.name), ""]
    for table in reversed(versions):
        lines += [f"## Version {table.version}", ""]
        if key := keys(str(table)):
            lines += [f"Key: {', '.join(f'`{column}`' for column in key)}.", ""]
        lines += ["| column | type | null | what it says |", "|---|---|---|---|"]
        lines += [_row(field) for field in sa.schema(str(table))]
        lines.append("")
    return "\n".join(lines)


def _filters(name: str) -> str:
    listed = ", ".join(f"`{field}`" for field in _FILTERS[name])
    told = f"Filters: {listed}; others do not touch it." if listed else "No filter touches it."
    return f"{told} {_UNANSWERED.get(name, '')}".rstrip()


def _row(field: pa.Field) -> str:
    description = (field.metadata or {}).get(b"description", b"").decode()
    return f"| `{field.name}` | {field.type} | {'yes' if field.nullable else 'no'} | {description} |"


def pages() -> dict[Path, str]:
    """Return every page by its path."""
    versions: dict[str, list[Table]] = {}
    for table in sa.tables():
        versions.setdefault(table.name, []).append(table)
    return {_FOLDER / f"{name}.md": page(tables) for name, tables in versions.items()}


def main() -> int:
    """Write the pages, or check them."""
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.name} is out of date: run make docs", file=sys.stderr)
        return int(bool(stale))
    _FOLDER.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(pages()[path])
        print(f"wrote {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
