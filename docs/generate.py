"""Write the pages of tables, settings and locations from the code; with --check only say what is stale."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

import stellarrow as sa
from stellarrow import registry
from stellarrow.config import SERVICES
from stellarrow.config.settings import Setting, settings_of
from stellarrow.core.tables import Table, keys
from stellarrow.protocols import Configured

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


_SETTINGS = """# Settings

Each setting can stand in a TOML file, in the environment, or be a flag in kebab case (`--log-level`); the
later wins. The file is the one `--config` names, or `STELLARROW_CONFIG`, or `./stellarrow.toml`. What
stands at its top is for everything that has the setting, what stands in a section for that alone:

```toml
network = "pubnet"
log_level = "warning"

[extract]
to = ["parquet:./out"]
on_error = "quarantine"
commit_every = "30s"
```

An older component's YAML (`source.yaml` of stellar-arrow-source, and those of its processor and sink) is read
as it is, by `--config FILE.yaml` or CONFIG_FILE; `stellarrow config convert FILE.yaml` writes it as TOML and
says which of its words have no effect here.

Section `[security]` is for every service that listens (see `security.md`). A secret, such as DB_PASSWORD or
SOURCE_TOKEN, is also read from the file that DB_PASSWORD_FILE or SOURCE_TOKEN_FILE names.

An unknown name or a value that cannot be meant is an error that says what was likely meant, or what is
allowed. `stellarrow config show [SERVICE]` prints every value and where it came from, passwords masked.

Addresses are `host:port` or `:port`, on 127.0.0.1 unless a host is named; durations `500ms`, `5s`, `1m30s`;
lists have commas, or are lists in TOML. An empty variable counts as not set.
"""


def settings_page() -> str:
    """Return the page of settings: a table a service."""
    lines = [_SETTINGS]
    for name, service in SERVICES.items():
        lines += [
            f"## {name}",
            "",
            f"{service.__doc__}",
            "",
            "| setting | environment | default | what it says |",
        ]
        lines += ["|---|---|---|---|", *(_setting(*one) for one in settings_of(service).items()), ""]
    return "\n".join(lines)


def _setting(name: str, setting: Setting) -> str:
    variables = ", ".join(f"`{variable}`" for variable in setting.variables)
    default = f"`{setting.default}`" if setting.default else ""
    return f"| `{name}` | {variables} | {default} | {setting.help} |"


def locations_page() -> str:
    """Return the page of sources and sinks, from the registry."""
    sinks = registry.built_in_sinks()
    lines = ["# Sources and sinks", "", "Other packages add to them: [`plug_ins.md`](plug_ins.md).", ""]
    lines += ["## Where ledgers come from", "", "| written as | is |", "|---|---|"]
    lines += [f"| `{entry.form}` | {entry.summary} |" for entry in registry.built_in_sources()]
    lines += [
        "",
        "Separated by commas, they are one source: each ledger comes from the first that has it.",
        "",
    ]
    lines += ["## Where tables go", "", "| written as | is |", "|---|---|"]
    lines += [f"| `{entry.form}` | {entry.summary} |" for entry in sinks]
    stores = ", ".join(f"`{entry.form}`" for entry in registry.FILE_STORES.values())
    lines += ["", f"Files may lie in a folder or in {stores}. Options stand behind a question mark, as in"]
    lines += [
        "`parquet:./out?partition=date&codec=zstd`:",
        "",
        "| sinks | option | what it says |",
        "|---|---|---|",
    ]
    lines += [f"| {schemes} | `{name}` | {told} |" for schemes, name, told in _options(sinks)]
    return "\n".join([*lines, ""])


def _options(sinks: list[registry.Entry]) -> Iterator[tuple[str, str, str]]:
    """Yield each option once, with the sinks that take it."""
    taken: dict[tuple[str, str], list[str]] = {}
    for entry in sinks:
        kind = replace(entry, extra="").load()  # the class tells without what an extra brings
        for option in kind.options.items() if isinstance(kind, Configured) else ():
            taken.setdefault(option, []).append(f"`{entry.scheme}:`")
    for (name, told), schemes in taken.items():
        yield ", ".join(schemes), name, told


def pages() -> dict[Path, str]:
    """Return every page by its path."""
    versions: dict[str, list[Table]] = {}
    for table in sa.tables():
        versions.setdefault(table.name, []).append(table)
    made = {_FOLDER / f"{name}.md": page(tables) for name, tables in versions.items()}
    folder = _FOLDER.parent
    return {**made, folder / "settings.md": settings_page(), folder / "locations.md": locations_page()}


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
