"""Typed tables of an extract: whose they are, and where their interfaces come from."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import click

from stellarrow.config import Extract
from stellarrow.core.tables import is_typed, table_names
from stellarrow.core.typed import SpecUnknown, TypedTables
from stellarrow.ledgers import Network
from stellarrow.pipeline.contract_specs import learned
from stellarrow.protocols import Source
from stellarrow.scanning.spec_places import full_name, given_specs, learn_from, pairs


def typed_tables(source: Source, settings: Extract, network: Network) -> tuple[TypedTables | None, list[str]]:
    """Return the tables that are asked for, typed ones each by its whole name, and what makes those.

    A contract whose interface is not known is told on standard error.
    """
    names = pairs("--name", settings.name)
    asked = [full_name(name, names) for name in table_names(",".join(settings.tables))]
    if not any(map(is_typed, asked)):
        return None, asked
    with telling():
        made, _ = learned(
            source,
            asked,
            specs=given_specs(settings.spec, names),
            ledgers=settings.ledgers,
            network=network,
            sinks=settings.to,
            also=lambda known: learn_from(known, settings.specs),
        )
    return made, made.expand(asked)


@contextmanager
def telling() -> Iterator[None]:
    """Tell on standard error of contracts whose interface is not known, each once."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", SpecUnknown)
        yield
    for message in dict.fromkeys(str(warning.message) for warning in told):
        click.echo(f"warning: {message}", err=True)
