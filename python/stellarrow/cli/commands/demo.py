"""`stellarrow demo`: real and synthetic ledgers turned into tables, and what they say."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import closing
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

import click
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console

from stellarrow import extras
from stellarrow.cli.commands.synth import lake_path, write_lake
from stellarrow.cli.invocation import typed_program
from stellarrow.cli.options import LocalPath
from stellarrow.cli.output import events, formatting, progress_bar, result_table
from stellarrow.cli.output.page import Page
from stellarrow.core.options import DecodeOptions
from stellarrow.core.synthetic import synthetic
from stellarrow.errors import ConfigError, SinkError
from stellarrow.ledgers import Network
from stellarrow.pipeline import loop
from stellarrow.sinks.parquet import ParquetSink
from stellarrow.sources.files import FileSource

_TABLES: Final = ("ledgers", "contract_data", "contract_events")
_CODE: Final = "contract_code"
_LEDGERS: Final = 300  # synthetic ones
_LEDGER_BYTES: Final = 250_000
_FIRST: Final = 2


@click.command(
    short_help="Extract some ledgers and say what is in them.",
    epilog="\b\nExample:\n  stellarrow demo --data ./stellarrow-data",
)
@click.option("--data", default="./stellarrow-data", type=LocalPath(), help="[./stellarrow-data]")
@click.option("--to", metavar="URL", help="A PostgreSQL of yours, postgres://…, instead of a private one.")
def command(data: Path, to: str | None) -> None:
    """Extract two real and a few hundred synthetic ledgers into files and PostgreSQL, and look at them."""
    console = Page(highlight=False)
    with as_file(files("stellarrow") / "data" / "ledgers") as bundled:
        real = _extract("two pubnet ledgers", bundled, data / "pubnet", "pubnet")
    _made_up(data / "ledgers-synthetic", console)
    made = _extract("synthetic ledgers", data / "ledgers-synthetic", data / "synthetic", "synthetic")
    _extract_code(data / "ledgers-synthetic", data / "synthetic", "synthetic")
    _tell(console, "Two real ledgers of the public network", real, data / "pubnet")
    _tell(console, f"{_LEDGERS} synthetic ledgers", made, data / "synthetic")
    if made.ledgers:
        alone = loop.run(
            FileSource(data / "ledgers-synthetic"),
            tables=_TABLES,
            sinks=[],
            options=DecodeOptions(network=Network.of("synthetic")),
        )
        console.print(f"  decoding them without keeping them: {_speed(alone)}")
    _ask_postgres(console, data, to)
    _tell_next(console, data)


def _ask_postgres(console: Console, data: Path, url: str | None) -> None:
    """Show the ledgers in a database, or say why not: the rest of the demo does not need one."""
    try:
        extras.require("a private PostgreSQL", "postgres", advise=None if url else "embedded")
        from stellarrow.cli import demo_postgres  # noqa: PLC0415  an extra

        source = FileSource(data / "ledgers-synthetic")
        demo_postgres.show(console, source, Network.of("synthetic"), url=url, folder=data / "postgres")
    except (ConfigError, SinkError) as error:
        if url:
            raise
        console.print(f"\n[bold]PostgreSQL[/bold] left out: {error}", soft_wrap=True)


def _made_up(lake: Path, console: Console) -> None:
    if (lake / lake_path(_FIRST + _LEDGERS - 1)).exists():
        return
    with console.status(f"making {_LEDGERS} synthetic ledgers"):
        endless = synthetic(first=_FIRST, ledger_bytes=_LEDGER_BYTES)
        write_lake(
            lake, (next(endless) for _ in range(_LEDGERS)), first=_FIRST, network=Network.of("synthetic")
        )


def _extract(title: str, source: Path, folder: Path, network: str) -> loop.Report:
    with (
        closing(ParquetSink(folder, _TABLES, network=network)) as sink,
        progress_bar.shown(title) as progress,
    ):
        options = DecodeOptions(network=Network.of(network))
        return loop.run(FileSource(source), tables=_TABLES, sinks=[sink], options=options, progress=progress)


def _extract_code(source: Path, folder: Path, network: str) -> None:
    """Keep what `stellarrow contract` shows: the code itself is among the decoded columns."""
    options = DecodeOptions(network=Network.of(network), decoded=True)
    with closing(ParquetSink(folder, [_CODE], network=network, decoded=True)) as sink:
        loop.run(FileSource(source), tables=[_CODE], sinks=[sink], options=options)


def _deployed(folder: Path) -> str | None:
    """Return a contract whose code is in the folder, the first deployed; None where there is none."""
    known = _read(folder / _CODE, ["contract_code_hash"]).column(0)
    seen = _read(folder / "contract_data", ["contract_id", "contract_instance_wasm_hash"])
    found = seen.filter(
        pc.is_in(seen.column("contract_instance_wasm_hash"), value_set=known.combine_chunks())
    )
    return found.column("contract_id")[0].as_py() if found.num_rows else None


def _tell(console: Console, title: str, report: loop.Report, folder: Path) -> None:
    console.print(f"\n[bold]{title}[/bold] → {folder}")
    if report.ledgers:
        console.print(f"  {formatting.size(report.bytes)} of XDR to Parquet in {_speed(report)}")
    else:
        console.print(f"  all {formatting.many(report.skipped, 'ledger')} were already there, nothing to do")
    kept = ((name, *_measured(folder / name)) for name in _TABLES)
    result_table.bare(
        {"table": False, "rows": True, "on disk": True},
        ((name, formatting.count(rows), formatting.size(stored)) for name, rows, stored in kept),
        console,
    )
    seen = _read(folder / "contract_events", ["contract_id", "event_name", "topics_xdr", "data_xdr"])
    console.print("  busiest contracts: " + ", ".join(_busiest(seen)), soft_wrap=True)
    for line in events.in_words(seen, 3):
        console.print(f"  · {line}", markup=False, soft_wrap=True)


def _speed(report: loop.Report) -> str:
    rate = report.bytes / max(report.seconds, 1e-9) / 1e6
    return f"{formatting.seconds(report.seconds)}, {rate:,.0f} MB/s"


def _measured(folder: Path) -> tuple[int, int]:
    paths = sorted(folder.glob("*.parquet"))
    return sum(pq.read_metadata(path).num_rows for path in paths), sum(path.stat().st_size for path in paths)


def _read(folder: Path, columns: Sequence[str]) -> pa.Table:
    tables = [pq.ParquetFile(path).read(list(columns)) for path in sorted(folder.glob("*.parquet"))]
    return pa.concat_tables(tables)


def _busiest(seen: pa.Table) -> Iterator[str]:
    counts = pc.value_counts(seen.column("contract_id").drop_null()).to_pylist()
    for one in sorted(counts, key=lambda one: (-one["counts"], one["values"]))[:4]:
        yield f"{formatting.address(one['values'])} ({formatting.many(one['counts'], 'event')})"


def _tell_next(console: Console, data: Path) -> None:
    lake, compatible, heavy = (
        shlex.quote(word)
        for word in (f"{data}/ledgers-synthetic", f"parquet:{data}/compatible", f"{data}/heavy.xdr.zst")
    )
    here = "" if data == Path("stellarrow-data") else f" --data {shlex.quote(str(data))}"
    program = typed_program()
    if not extras.lacking("analytics"):
        console.print("\n[bold]See it in a browser[/bold]")
        console.print(f"  {program} up   # then open http://127.0.0.1:8081", markup=False, soft_wrap=True)
    console.print("\n[bold]Try next[/bold]")
    contract = _deployed(data / "synthetic")
    asked = (
        (
            f'{program} sql{here} "select contract_id, count(*) as events from pubnet.contract_events'
            ' group by all order by 2 desc limit 5"'
        ),
        (
            f'{program} sql{here} "select balance_holder, balance from pubnet.contract_data'
            ' where balance is not null order by 2 desc limit 5"'
        ),
        *([f"{program} contract {contract}{here}"] if contract else []),
    )
    for line in (
        *(() if extras.lacking("sql") else asked),
        f"{program} extract {lake} --tables contract_data@1.0 --to {compatible}",
        f"{program} synth --ledgers 10 --size 1.7MB --out {heavy}",
        f"{program} inspect {heavy}",
        *(["pip install 'stellarrow[sql]'   # then, too:", *asked] if extras.lacking("sql") else ()),
    ):
        console.print(f"  {line}", markup=False, soft_wrap=True)
