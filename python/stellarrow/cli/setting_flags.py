"""Settings as flags: what a service can be told is declared once, in stellarrow.config."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import click

from stellarrow.cli.options import list_option, option
from stellarrow.config import Settings, find_file, read
from stellarrow.config.settings import Setting, settings_of

_RARE: Final = "Rarely needed"


def options(
    service: type[Settings], page: Mapping[str, Sequence[str]]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a Paged command --config and a flag for every setting, and call it with the settings read.

    `page` is what --help shows: settings under headings. --help-all has the others, too.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        known = settings_of(service)

        @functools.wraps(function)
        def called(config: str | None, **given: Any) -> Any:
            flags = {name: given.pop(name) for name in known}
            file = find_file(config, service=service)
            return function(read(service, flags, file=file), **given)

        sections = {name: heading for heading, names in page.items() for name in names}
        declared: Callable[..., Any] = config_option(called)
        for name in reversed([*sections, *(name for name in known if name not in sections)]):
            declared = _option(name, known[name], sections.get(name))(declared)
        return declared

    return decorate


def config_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option --config."""
    text = "Settings in TOML, or an older component's YAML.  [./stellarrow.toml]"
    return click.option("--config", metavar="FILE", help=text)(function)


def state_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that looks into a state folder what says where that is, and --json."""
    where = click.option("--state-dir", metavar="FOLDER", help="Where they lie.  [./stellarrow-state]")
    return config_option(where(click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)))


def _option(
    name: str, setting: Setting, section: str | None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    flag = "--" + name.replace("_", "-")
    # With spaces, at which a line may end.
    default = f"  [{setting.default.replace(',', ', ')}]" if setting.default else ""
    # A switch may stand alone, or say what it means: --flowctl-enabled, --include-deleted=false.
    alone: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if setting.kind.metavar == "BOOL" else {}
    answer = setting.help + default
    kind = setting.kind.metavar
    declare = list_option if setting.kind.is_list else option
    return declare(
        flag, name, metavar=kind, help=answer, section=section or _RARE, rare=section is None, **alone
    )
