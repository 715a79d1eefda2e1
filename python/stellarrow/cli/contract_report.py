"""What ledgers tell of a contract, for people: what it ran, what it keeps, and its latest events in words."""

from __future__ import annotations

import os
import sys
import textwrap
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import pyarrow as pa

from stellarrow.cli.output import formatting
from stellarrow.cli.typed_tables import telling
from stellarrow.contracts.interface import signatures
from stellarrow.core.contract import describe, spec_json
from stellarrow.core.typed import Code, Ran, wasm_of
from stellarrow.core.typed_columns import own_columns
from stellarrow.errors import ConfigError, SourceError
from stellarrow.pipeline.spec_cache import SpecCache
from stellarrow.scanning import Scan, TypedScans, scan
from stellarrow.scanning.spec_places import given_specs, learn_from
from stellarrow.scanning.typed import found_typed

_LATEST: Final = 10  # events that are shown
_LAST_PLACE: Final = "spec_status"  # the columns behind it are the contract's own, but for raw values
_FILLED: Final = ("decoded", "ambiguous")
_PLACE: Final = ("ledger_sequence", "transaction_index", "operation_index", "event_index")
_RAW: Final = ("topics_xdr", "data_xdr")
_TOGETHER: Final = ":\N{NO-BREAK SPACE}"  # a name and its value stay on a line
_NARROWEST: Final = 40  # columns that lines are fitted to


def report(
    contract: str, source: str, *, spec: str | None, specs: str | None, **choices: Any
) -> Iterator[str]:
    """Yield the lines: interface, history of code, storage by case, latest events.

    On a terminal they fit its width, and long ids are shortened; elsewhere an event is a line, whole.
    """
    said = given_specs((one for one in (spec or "").split(",") if one), {})
    if others := {*said} - {contract}:
        raise ConfigError(f"--spec says the interface of {', '.join(others)}, and {contract} is asked for")
    with telling():
        tables = found_typed(contract, source, said, lambda known: learn_from(known, specs), **choices)
    ran = tables.ran
    width = _width()
    yield from _interface(ran[-1] if ran else None, tables, source, said.get(contract), choices)
    yield "// code"
    yield from _history(ran)
    yield "// storage"
    yield from _storage(tables)
    yield "// latest events"
    found = _latest(tables)
    for row, name in found:
        yield from _fitted(f"{row['ledger_sequence']} {_words(row, name)}", width)
    if not found:
        yield "//   none in these ledgers"


def _width() -> int | None:
    """Return the terminal's width, None where lines go to a file or a program."""
    with suppress(OSError, ValueError):
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    return None


def _interface(
    last: Ran | None, tables: TypedScans, source: str, said: Code | None, choices: Mapping[str, Any]
) -> Iterator[str]:
    if last is None:
        return
    if last[1] is None:
        yield "// The Stellar Asset Contract (CAP-46-6): functions of SEP-41, and these events"
        yield from _declared_events(tables)
        yield ""
        return
    code = SpecCache().get(last[1])
    if told := spec_json(wasm_of(said) if said else code) if said or code else None:
        yield from signatures(told)
        return
    with suppress(SourceError):  # an extract may have no contract_code, or not its interface
        where = f"contract_code_hash = '{last[1]}'"
        for batch in scan(source, table="contract_code", decoded=True, where=where, **choices):
            for row in batch.to_pylist():
                if row.get("spec_json"):
                    yield from signatures(row["spec_json"])
                    return
    yield "// The code is not here; of its interface these tables tell the events:"
    yield from _declared_events(tables)
    yield ""


def _declared_events(tables: TypedScans) -> Iterator[str]:
    for name in tables:
        rows, _, event = name.partition("/")
        if rows != "events" or event == "_other":
            continue
        told = [one.metadata for one in own_columns(tables[name].schema)]
        params = {one[b"declared_name"].decode(): one[b"declared_type"].decode() for one in told}
        words = ", ".join(f"{one}: {kind}" for one, kind in params.items())
        kept = textwrap.wrap(f"event {event}({words})".replace(": ", _TOGETHER), 80, subsequent_indent="    ")
        yield from (line.replace(_TOGETHER, ": ") for line in kept)


def _history(ran: Sequence[Ran]) -> Iterator[str]:
    if not ran:
        yield "//   not known: the contract's instance is not in these ledgers"
        return
    ends = [None if first is None else first - 1 for first, _ in ran[1:]]
    for (first, hash), end in zip(ran, [*ends, None], strict=True):
        since = "before these ledgers" if first is None else f"ledger {first}"
        until = "" if end is None else f" to {end}"
        line = f"//   from {since}{until}: "
        code = hash or "the Stellar Asset Contract"
        yield from [f"{line}{code}"] if len(line) + len(code) <= 80 else [line.rstrip(), f"//     {code}"]


def _storage(tables: TypedScans) -> Iterator[str]:
    cases = sorted(
        (name for name in tables if name.startswith("storage/")),
        key=lambda name: (name.endswith("/_other"), name),
    )
    found = False
    for name in cases:
        if changes := _rows(tables[name]):
            keys = _rows(tables[name.replace("storage", "state", 1)])
            counted = f"{formatting.many(keys, 'key')}, {formatting.many(changes, 'change')}"
            yield f"//   {name.partition('/')[2]:<24} {counted}"
            found = True
    if not found:
        yield "//   no change in these ledgers"


def _rows(table: Scan) -> int:
    return sum(batch.num_rows for batch in table)


def _latest(tables: TypedScans) -> list[tuple[dict[str, Any], str]]:
    found: list[tuple[dict[str, Any], str]] = []
    for name in tables:
        if name.startswith("events/"):
            last: deque[dict[str, Any]] = deque(maxlen=_LATEST)
            for batch in tables[name]:
                last.extend(_tail(batch))
            found += [(row, name.partition("/")[2]) for row in last]
    found.sort(key=lambda one: tuple(-1 if one[0][name] is None else one[0][name] for name in _PLACE))
    return found[-_LATEST:]


def _tail(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = batch.slice(max(batch.num_rows - _LATEST, 0)).to_pylist()
    return rows


def _words(row: dict[str, Any], name: str) -> str:
    """Say an event: `mint(to: G…, amount: 5)`; without declaration, its values and the status."""
    if row[_LAST_PLACE] not in _FILLED:
        topics = row["topics_xdr"][1 if row["event_name"] else 0 :]
        values = ", ".join(map(describe, [*topics, row["data_xdr"]]))
        return f"{row['event_name'] or '(no name)'}({values}) [{row[_LAST_PLACE]}]"
    names = [*row]
    own = names[names.index(_LAST_PLACE) + 1 :]
    values_of = {one: row[one] for one in own if one not in _RAW and row[one] is not None}
    exact = {one.removesuffix("_text") for one in values_of if one.endswith("_text")}
    told = {one: value for one, value in values_of.items() if one not in exact}
    words = ", ".join(f"{one.removesuffix('_text')}: {_word(value)}" for one, value in told.items())
    status = "" if row[_LAST_PLACE] == "decoded" else f" [{row[_LAST_PLACE]}]"
    return f"{row['event_name'] if name == '_other' else name}({words}){status}"


def _word(value: Any) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)


def _fitted(words: str, width: int | None) -> Iterator[str]:
    """Fit a line to a terminal: what is long in it is shortened, what is left goes on below."""
    if width is None:
        yield f"//   {words}"
        return
    kept = formatting.shortened(words).replace(": ", _TOGETHER)
    wrapper = textwrap.TextWrapper(max(width, _NARROWEST), "//   ", "//     ", break_on_hyphens=False)
    yield from (line.replace(_TOGETHER, ": ") for line in wrapper.wrap(kept))
