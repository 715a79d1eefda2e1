"""Which tables a sink keeps, and what their rows are made from: texts that must stay the same in a place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stellarrow.core.tables import Table, table
from stellarrow.errors import ConfigError, SchemaMismatch
from stellarrow.filter import Filter
from stellarrow.ledgers import Network


def meant_tables(tables: Sequence[str], sink: str, *, apart: str) -> list[tuple[str, Table]]:
    """Return each name with the table it means; two versions of one table are refused, `apart` says why."""
    if not tables:
        raise ConfigError(f"{sink} has no table: name at least one")
    found: dict[str, tuple[str, Table]] = {}
    for asked in tables:
        meant = table(asked)
        if clash := found.get(meant.name):
            raise ConfigError(f"{clash[0]} and {asked} share one {apart}")
        found[meant.name] = (asked, meant)
    return list(found.values())


def making_texts(
    meant: Table, network: Network, where: Filter | None, *, decoded: bool, transfers: str
) -> tuple[str, str, str, str, str]:
    """Return schema version, network, filter, decoded and transfers, as places keep them."""
    return (
        meant.version,
        network.passphrase,
        str(where or ""),
        "yes" if decoded else "",
        "" if transfers == "derive" else transfers,
    )


def check_made_alike(facts: Iterable[str], asked: object, there: object, *, place: str, remedy: str) -> None:
    """Raise SchemaMismatch where one of the facts is not what it was when the place was written."""
    for fact in facts:
        wanted, held = getattr(asked, fact), getattr(there, fact)
        if wanted != held:
            raise SchemaMismatch(
                f"{place} was written with {fact} {held or 'none'!r}, not {wanted or 'none'!r}: ask for the"
                f" same again, or {remedy}"
            )
