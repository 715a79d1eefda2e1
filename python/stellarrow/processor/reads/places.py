"""Where readers with a name are: they acknowledge what they have, and go on behind it when they come back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from stellarrow.core.tables import table
from stellarrow.errors import ConfigError, UnknownReader
from stellarrow.net.bounded_json import JsonObject
from stellarrow.processor.kept_readers import KeptReader, places_of, register
from stellarrow.processor.processor import Processor
from stellarrow.processor.reads.cursor import Cursor
from stellarrow.processor.reads.request import EARLIEST, PLACE, Command

ACKNOWLEDGE: Final = "acknowledge"
_KEYS: Final = ("reader", "table", "version", "resume")
_LARGEST: Final = 1 << 20  # bytes


def placed(processor: Processor, command: Command, owner: str = "") -> Command:
    """Return a command that begins where its reader is; PermissionDenied where it is another caller's."""
    found = processor.readers.find(command.reader, command.table, owner=owner)
    if command.origin != PLACE:
        return command
    if found and Cursor.read(found.resume).shape != command.shape:
        raise ConfigError(
            f"the reader {command.reader} has read other rows of {command.table} so far: ask for the same,"
            " take another name, or remove it with stellarrow processor remove-reader"
        )
    return replace(command, origin=found.resume if found else EARLIEST)


def acknowledge(processor: Processor, body: bytes, owner: str = "") -> KeptReader:
    """Take note of what a reader has: `{"reader", "table", "resume"}`, the last a batch's.

    What it has acknowledged before it still has, should an older batch be named.
    """
    asked = JsonObject.read(body, "the action", keys=_KEYS, largest=_LARGEST)
    name, wanted, version = asked.text("reader"), asked.text("table"), asked.text("version")
    meant = str(table(f"{wanted}@{version}" if version else wanted))
    found = processor.readers.find(name, meant, owner=owner)
    if found is None:
        raise UnknownReader(f"no reader {name!r} of {meant} is kept: read with it first")
    held, given = Cursor.read(found.resume), Cursor.of_token(asked.text("resume"), shape=_shape(found))
    places = held.places | {
        session: max(place, held.places.get(session, place)) for session, place in given.places.items()
    }
    made = processor.readers.put(name, meant, Cursor(held.shape, places).token(), owner=owner)
    for work in processor.works():
        if work.spool and meant in work.kept_tables:  # others' places are no sign of life of theirs
            register(made, work.session.id, work.spool)
    return made


def is_of_another(processor: Processor, caller: str, name: str, of_table: str = "") -> bool:
    """Tell whether some of what is kept for a reader, of one table or all, is not a caller's own."""
    meant = of_table and str(table(of_table))
    found = [one for one in processor.readers.every() if one.name == name and meant in ("", one.table)]
    return any(one.owner != caller for one in found)


def remove(processor: Processor, name: str, of_table: str = "") -> None:
    """Keep nothing for a reader any more.

    Raises:
        UnknownReader: There is none.
    """
    for gone in processor.readers.remove(name, of_table and str(table(of_table))):
        for work in processor.works():
            if work.spool:
                work.spool.forget(gone.in_spools)


def described(processor: Processor) -> list[dict[str, Any]]:
    """Say where each reader is: how many ledgers behind, and whether some that it needs are gone."""
    return [_described(processor, one) for one in processor.readers.every()]


def _described(processor: Processor, reader: KeptReader) -> dict[str, Any]:
    places, behind, lost = places_of(reader), 0, False
    for work in processor.works():
        if work.spool and reader.table in work.kept_tables:
            after = places.get(work.session.id, 0)
            behind = max(behind, work.spool.last - max(after, work.session.ledgers.first - 1))
            lost = lost or after < work.spool.gone
    return {
        "name": reader.name,
        "table": reader.table,
        "behind": behind,
        "lost": lost,
        "seen_at": reader.seen_at,
    }


def _shape(reader: KeptReader) -> str:
    return Cursor.read(reader.resume).shape
