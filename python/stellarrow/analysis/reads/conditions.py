"""Which rows of a table are meant: lists by column, and a condition in SQL.

What columns alone can answer is one Arrow expression, which also tells Parquet which row groups to pass over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.analysis.reads.refusals import Refused, blaming
from stellarrow.core.event_words import event_words
from stellarrow.core.tables import schema
from stellarrow.errors import nearest
from stellarrow.filter import Filter
from stellarrow.net.redaction import shortened
from stellarrow.sinks.files.group_index import ACCOUNTS, Probe, Wanted
from stellarrow.sql import compile_sql

if TYPE_CHECKING:
    from stellarrow.sql.computation import Computation

_EVENTS: Final = ("event_type", "operation_type")
_COLUMNS: Final = {
    "contract_ids": ("contract_id",),
    "accounts": ACCOUNTS,
    "assets": ("asset_code", "asset_issuer", "asset_type"),
    "event_types": _EVENTS,
    "event_names": ("event_name",),
}
_OF_ASSETS: Final = ("contract_id",)  # which an asset may be asked by, too
NATIVE: Final = "native"
_CONTRACT: Final = 56  # letters of its id
_PROBED: Final = 64  # values: of more, most row groups have some
_FORMS: Final = {  # of what people write into lists, and what to write
    "contract_ids": (re.compile(r"C[A-Z2-7]{55}", re.ASCII), "a contract's id (C…)"),
    "accounts": (
        re.compile(r"[GCBL][A-Z2-7]{55,57}|M[A-Z2-7]{68}", re.ASCII),
        "an account's id (G…), or of what else holds tokens (C…, B…, L…)",
    ),
    "assets": (
        re.compile(r"native|[A-Za-z0-9]{1,12}(:G[A-Z2-7]{55})?|C[A-Z2-7]{55}", re.ASCII),
        "native, CODE, CODE:ISSUER or a contract's id",
    ),
}
_NATIVE_TYPES: Final = (NATIVE, "AssetTypeAssetTypeNative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The values of a list are alternatives, lists must agree, an empty one lets all in.

    `assets` are native (XLM says the same), CODE, CODE:ISSUER or a contract's id.
    """

    contract_ids: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    event_names: tuple[str, ...] = ()
    where: str = ""

    def checked(self) -> Conditions:
        """Return the same; Refused where a value can be in no row, as a mistyped account."""
        for name, (form, meant) in _FORMS.items():
            for one in getattr(self, name):
                if not form.fullmatch(one):
                    raise Refused(f"{name} has {shortened(repr(one))}: it must be {meant}", field=name)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return what is asked, the same for the same rows."""
        lists = {
            one.name: sorted(set(getattr(self, one.name))) for one in fields(self) if one.name != "where"
        }
        named = {name: values for name, values in lists.items() if values}
        return {**named, "where": self.where} if self.where else named


def lists_of(columns: pa.Schema) -> list[str]:
    """Return the lists that rows of these columns can be asked by."""
    return [name for name, known in _COLUMNS.items() if any(one in columns.names for one in known)]


@dataclass(frozen=True, slots=True)
class Compiled:
    """Conditions made for a table; called with rows, it returns those that are meant.

    `probe` is what of them an index of row groups can be asked: `is_probed` where that is all the expression
    says. `reads` are the columns of the expression.
    """

    expression: pc.Expression | None = None
    computed: Computation | None = field(default=None, repr=False)
    probe: Probe = ()
    reads: tuple[str, ...] = ()
    is_probed: bool = False

    def __call__(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        return self.compute(rows if self.expression is None else rows.filter(self.expression))

    def compute(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows that the SQL is true of."""
        return self.computed(rows) if self.computed else rows


def compiled(table: str, columns: pa.Schema, asked: Conditions) -> Compiled:
    """Make conditions for a table with these columns; Refused where they do not fit it."""
    terms: list[pc.Expression] = []
    reads: set[str] = set()
    for name, known in _COLUMNS.items():
        if not (values := getattr(asked, name)):
            continue
        there = [one for one in known if one in columns.names]
        if not there:
            raise Refused(f"{table} has no column that {name} could be asked of: leave it out", field=name)
        if name == "event_types":
            _check_words(table, values)
        reads.update(there, [one for one in _OF_ASSETS if name == "assets" and one in columns.names])
        terms.append(_assets(values, columns) if name == "assets" else _any_of(there, values))
    computed = None
    if asked.where:
        with blaming("where"):
            whole = schema(table, decoded=True)
            computed = compile_sql(table, columns, Filter(where=asked.where), whole=whole)
        pushed = _pushed(computed, columns)
        terms += pushed.values()
        reads.update(pushed)
    expression, probe = reduce(and_, terms) if terms else None, _probe(asked)
    is_probed = len(probe) == len(terms)  # a term each
    return Compiled(expression, computed, probe, tuple(sorted(reads)), is_probed)


def _probe(asked: Conditions) -> Probe:
    """Return what an index of row groups can be asked: each list that it knows of all values."""
    accounts: list[Wanted | None] = [(("accounts", one),) for one in asked.accounts]
    contracts: list[Wanted | None] = [(("contract_id", one),) for one in asked.contract_ids]
    terms = [accounts, contracts, [_probed(one) for one in asked.assets]]
    return tuple(
        tuple(one for one in term if one) for term in terms if 0 < len(term) <= _PROBED and None not in term
    )


def _probed(asset: str) -> Wanted | None:
    code, _, issuer = asset.partition(":")
    if asset in (NATIVE, "XLM"):
        return None  # told by the asset's type, of which there is no filter
    if len(asset) == _CONTRACT:
        return (("contract_id", asset),)
    return (("asset_code", code), ("asset_issuer", issuer)) if issuer else (("asset_code", code),)


def _check_words(table: str, values: Sequence[str]) -> None:
    known = event_words(table)
    for one in values if known else ():
        if one not in known:
            remedy = nearest(one, known, f"there are {', '.join(known)}")
            raise Refused(
                f"{table} has no events or operations {shortened(one)!r}: {remedy}", field="event_types"
            )


def _any_of(columns: Sequence[str], values: Sequence[str]) -> pc.Expression:
    return reduce(or_, (pc.field(one).isin(list(values)) for one in columns))


def _assets(values: Sequence[str], columns: pa.Schema) -> pc.Expression:
    terms = []
    for value in values:
        code, _, issuer = value.partition(":")
        if value in (NATIVE, "XLM"):
            terms.append(pc.field("asset_type").isin(list(_NATIVE_TYPES)))
        elif len(value) == _CONTRACT and "contract_id" in columns.names:
            terms.append(pc.field("contract_id") == value)
        elif issuer:
            terms.append((pc.field("asset_code") == code) & (pc.field("asset_issuer") == issuer))
        else:
            terms.append(pc.field("asset_code") == code)
    return reduce(or_, terms)


def _pushed(computed: Computation | None, columns: pa.Schema) -> dict[str, pc.Expression]:
    """Return what of the SQL a column answers alone: it keeps more rows at most, and is asked again."""
    if computed is None:
        return {}
    known = (("contract_ids", "contract_id"), ("event_names", "event_name"))
    return {
        column: pc.field(column).isin(list(values))
        for name, column in known
        if column in columns.names and (values := getattr(computed.filter, name))
    }
