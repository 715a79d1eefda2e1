"""Pages of the site that are made from the code as it is built: every command, every metric, every table.

MkDocs calls these hooks; what they make is never stale, and is in no file of the repository.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from prometheus_client.metrics import MetricWrapperBase

from stellarrow.cli.app import stellarrow
from stellarrow.consumer.stats import ConsumerMetrics
from stellarrow.telemetry.metrics import Metrics

_TABLES = "tables/"
_COMMANDS = """# Commands

Every command, its arguments and its options. `stellarrow COMMAND --help` prints the same.

"""
_METRICS = """# Every metric

What `/metrics` may name, from the code. [Metrics](metrics.md) says which service sets what.

| metric | kind | labels | meaning |
|---|---|---|---|
"""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of all tables, and pages that the navigation does not name, into the navigation."""
    folder = Path(config.docs_dir)
    sections: dict[str, list[object]] = {}
    for entry in config.nav or []:
        if isinstance(entry, dict):
            sections |= entry
    reference = sections["Reference"]
    place = reference.index({"tables": _TABLES})
    pages = [f"{_TABLES}{path.name}" for path in sorted((folder / "tables").glob("*.md"))]
    reference[place] = {"Tables": pages}
    named = str(config.nav)
    reference.extend(path.name for path in sorted(folder.glob("*.md")) if f"'{path.name}'" not in named)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code."""
    made = {"cli.md": _COMMANDS + "\n".join(_commands()), "metrics_list.md": _METRICS + "\n".join(_metrics())}
    for name, text in made.items():
        files.append(File.generated(config, name, content=text + "\n"))
    return files


def _commands() -> Iterator[str]:
    for name, command in _below("stellarrow", stellarrow):
        context = click.Context(command, info_name=name)
        usage = " ".join([name, *command.collect_usage_pieces(context)])
        yield f"## `{name}`\n\n{_prose(command.help or '')}\n\n```text\n{usage}\n```\n"
        if rows := [*_options(command, context)]:
            yield "\n".join(["| option | meaning |", "|---|---|", *rows, ""])
        if example := textwrap.dedent((command.epilog or "").replace("\b\n", "")).strip():
            yield f"```text\n{example}\n```\n"


def _below(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Yield a command, and all commands below it, by what is typed."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for verb in command.list_commands(context):
            if below := command.get_command(context, verb):
                yield from _below(f"{name} {verb}", below)


def _prose(text: str) -> str:
    return _escaped(inspect.cleandoc(text.replace("\b\n", "")))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for one in command.params:
        if isinstance(one, click.Option) and not one.hidden and (record := one.get_help_record(context)):
            yield f"| `{record[0]}` | {_escaped(record[1])} |"  # a pipe in code splits no cell here


def _escaped(text: str) -> str:
    for mark in ("<", "*", "_", "[", "|"):
        text = text.replace(mark, chr(92) + mark)
    return text


def _metrics() -> Iterator[str]:
    metrics = Metrics()
    ConsumerMetrics(metrics)
    # The registry alone has those that services add; labels have no public name.
    every = {id(one): one for one in metrics.registry._collector_to_names}  # noqa: SLF001
    wrapped = [one for one in every.values() if isinstance(one, MetricWrapperBase)]
    for metric in sorted(wrapped, key=lambda one: next(iter(one.describe())).name):
        (described,) = metric.describe()
        name = f"{described.name}_total" if described.type == "counter" else described.name
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001
        yield f"| `{name}` | {described.type} | {labels} | {described.documentation} |"
