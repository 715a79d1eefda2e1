"""Help in two pages: what most need on a screen, everything on request."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from stellarrow import registry
from stellarrow.cli.output.said import say
from stellarrow.storage.paths import local_path

_ALL = "stellarrow.help_all"


class Option(click.Option):
    """An option under a heading; a rare one is on the second page alone."""

    def __init__(self, *given: Any, section: str = "Options", rare: bool = False, **named: Any) -> None:
        super().__init__(*given, **named)
        self.section = section
        self.rare = rare


class Paged(click.Command):
    """A command whose --help fits a screen, and whose --help-all tells the rest."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        text = "Show every option and exit."
        self.params.append(
            Option(
                ["--help-all"], is_flag=True, is_eager=True, expose_value=False, callback=_show_all, help=text
            )
        )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record and (ctx.meta.get(_ALL) or not getattr(param, "rare", False)):
                sections.setdefault(getattr(param, "section", "Options"), []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def _show_all(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:  # noqa: ARG001  click gives it
    if wanted:
        context.meta[_ALL] = True
        say(context.get_help())
        context.exit()


def option(*given: Any, section: str = "Options", rare: bool = False, **named: Any) -> Callable[..., Any]:
    """Declare an Option."""
    return click.option(*given, cls=Option, section=section, rare=rare, **named)


def list_option(*given: Any, **named: Any) -> Callable[..., Any]:
    """Declare an Option that takes a list: given several times, it is all of them, joined by commas."""
    return option(*given, multiple=True, callback=_joined, **named)


def _joined(context: click.Context, parameter: click.Parameter, given: Sequence[str]) -> str | None:  # noqa: ARG001  click gives it
    return ",".join(given) if given else None


class LocalPath(click.Path):
    """A path of this machine, from a home where it begins with `~`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return Path(os.fsdecode(super().convert(str(local_path(value)), param, ctx)))


class Data(LocalPath):
    """A folder of this machine, also as parquet:FOLDER, or the location of a sink without plain files."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from stellarrow.scanning.sunk import is_no_file  # noqa: PLC0415  loads Arrow

        text = str(value)
        if ":" in text and is_no_file(text):
            return text
        form, _, place = text.partition(":")
        place = place.partition("?")[0].removeprefix("file://")
        if form not in registry.FORMATS or local_path(text).exists():
            return super().convert(value, param, ctx)
        is_url = "://" in place and not place.startswith("//")
        return text if is_url else super().convert(place, param, ctx)
