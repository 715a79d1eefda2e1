"""Typed tables of an extract: whose they are, and where their interfaces come from."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stellarrow.cli.output.said import say
from stellarrow.config import Extract
from stellarrow.core.strkey import is_contract
from stellarrow.core.tables import is_typed, table_names
from stellarrow.core.typed import Code, SpecUnknown, target_of
from stellarrow.errors import ConfigError
from stellarrow.ledgers import Network
from stellarrow.protocols import Source

if TYPE_CHECKING:
    from stellarrow.pipeline.contract_specs import Learned


def typed_tables(source: Source, settings: Extract, network: Network) -> tuple[Learned | None, list[str]]:
    """Return the tables that are asked for, typed ones each by its whole name, and what makes those.

    A contract whose interface is not known is told on standard error.
    """
    asked = table_names(",".join(settings.tables))
    if not (settings.name or any(map(is_typed, asked))):
        return None, asked
    from stellarrow.pipeline.contract_specs import learned  # noqa: PLC0415  few extracts have typed tables
    from stellarrow.scanning.spec_places import full_name, given_specs, learn_from, pairs  # noqa: PLC0415  as above

    names = pairs("--name", settings.name)
    asked = [full_name(name, names) for name in asked]
    if not any(map(is_typed, asked)):
        return None, asked
    given = given_specs(settings.spec, names)
    _check_asked(given, asked)
    with telling():
        made = learned(
            source,
            asked,
            specs=given,
            ledgers=settings.ledgers,
            network=network,
            sinks=settings.to,
            also=lambda known: learn_from(known, settings.specs),
            follows=True,
        )
    return made, made.tables.expand(asked)


def _check_asked(given: Mapping[str, Code], tables: Iterable[str]) -> None:
    """Refuse the interface of a contract of which no table is asked for: it would be used for nothing."""
    targets = list(dict.fromkeys(target_of(name) for name in tables if is_typed(name)))
    for contract in filter(is_contract, given):
        if contract not in targets:
            raise ConfigError(
                f"--spec says the interface of {contract}, but --tables asks for typed tables of"
                f" {', '.join(targets)} alone: give the interface of one of these"
            )


@contextmanager
def telling() -> Iterator[None]:
    """Tell on standard error of contracts whose interface is not known, each once."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", SpecUnknown)
        yield
    for message in dict.fromkeys(str(warning.message) for warning in told):
        say(f"warning: {message}", err=True)
