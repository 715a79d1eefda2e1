"""Settings as flags: what a service can be told is declared once, in stellarrow.config."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import Any

import click

from stellarrow.config import Settings, find_file, read
from stellarrow.config.settings import Setting, settings_of


def options(
    service: type[Settings], *, rare: Collection[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command --config and a flag for every setting, and call it with the settings read.

    The `rare` ones are left out of its help; `config show` has them all.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        known = settings_of(service)

        @functools.wraps(function)
        def called(config: str | None, **given: Any) -> Any:
            flags = {name: given.pop(name) for name in known}
            return function(read(service, flags, file=find_file(config)), **given)

        declared: Callable[..., Any] = config_option(called)
        for name, setting in reversed(known.items()):
            declared = _option(name, setting, hidden=name in rare)(declared)
        return declared

    return decorate


def config_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option --config."""
    told = "Settings in TOML.  [./stellarrow.toml]"
    return click.option("--config", metavar="FILE", help=told)(function)


def _option(
    name: str, setting: Setting, *, hidden: bool
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    flag = "--" + name.replace("_", "-")
    default = f"  [{setting.default}]" if setting.default else ""
    # A switch may stand alone, or say what it means: --flowctl-enabled, --include-deleted=false.
    alone: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if setting.kind.metavar == "BOOL" else {}
    told = setting.help + default
    return click.option(flag, name, metavar=setting.kind.metavar, help=told, hidden=hidden, **alone)
