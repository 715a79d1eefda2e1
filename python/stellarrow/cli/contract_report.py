"""What ledgers tell of a contract, for people: what it ran, what it keeps, and its latest events in words."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from stellarrow.cli.output import formatting
from stellarrow.cli.typed_tables import telling
from stellarrow.contracts.interface import signatures
from stellarrow.scanning import Scan, TypedScans, scan, typed

_LATEST: Final = 10  # events that are shown
_LAST_PLACE: Final = "spec_status"  # the columns behind it are the contract's own, but for raw values
_PLACE: Final = ("ledger_sequence", "transaction_index", "event_index")
_RAW: Final = ("topics_xdr", "data_xdr")


def report(contract: str, source: str, **choices: Any) -> Iterator[str]:
    """Yield the lines: interface, history of code, storage by case, latest events."""
    with telling():
        tables = typed(contract, source, **choices)
    ran = tables.ran
    yield from _interface(ran[-1][1] if ran else "", source, choices)
    yield "// code"
    for ledger, hash in ran:
        since = f"from ledger {ledger}" if ledger else "from before these ledgers"
        yield f"//   {since}: {hash or 'the Stellar Asset Contract'}"
    if not ran:
        yield "//   not known: the contract's instance is not in these ledgers"
    yield "// storage"
    for name in tables:
        if name.startswith("storage/") and (changes := _rows(tables[name])):
            keys = _rows(tables[name.replace("storage", "state", 1)])
            counted = f"{formatting.many(keys, 'key')}, {formatting.many(changes, 'change')}"
            yield f"//   {name.partition('/')[2]:<24} {counted}"
    yield "// latest events"
    for row, name in _latest(tables):
        yield f"//   {row['ledger_sequence']} {_words(row, name)}"


def _interface(hash: str | None, source: str, choices: dict[str, Any]) -> Iterator[str]:
    if not hash:
        return
    for batch in scan(source, table="contract_code", decoded=True, **choices):
        for row in batch.to_pylist():
            if row["contract_code_hash"] == hash and row["spec_json"]:
                yield from signatures(row["spec_json"])
                return


def _rows(table: Scan) -> int:
    return sum(batch.num_rows for batch in table)


def _latest(tables: TypedScans) -> list[tuple[dict[str, Any], str]]:
    found: list[tuple[dict[str, Any], str]] = []
    for name in tables:
        if name.startswith("events/"):
            last: deque[dict[str, Any]] = deque(maxlen=_LATEST)
            for batch in tables[name]:
                last.extend(batch.slice(max(batch.num_rows - _LATEST, 0)).to_pylist())
            found += [(row, name.partition("/")[2]) for row in last]
    found.sort(
        key=lambda one: (one[0]["ledger_sequence"], one[0]["transaction_index"], one[0]["event_index"])
    )
    return found[-_LATEST:]


def _words(row: dict[str, Any], name: str) -> str:
    """Say an event: `mint(to: G…, amount: 5)`; one that does not fit, with its status."""
    names = [*row]
    own = names[names.index(_LAST_PLACE) + 1 :]
    values = {one: row[one] for one in own if one not in _RAW and row[one] is not None}
    exact = {one.removesuffix("_text") for one in values if one.endswith("_text")}
    told = {one: value for one, value in values.items() if one not in exact}
    words = ", ".join(f"{one.removesuffix('_text')}: {_word(value)}" for one, value in told.items())
    status = "" if row[_LAST_PLACE] == "decoded" else f" ({row[_LAST_PLACE]})"
    return f"{row['event_name'] if name == '_other' else name}({words}){status}"


def _word(value: Any) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
