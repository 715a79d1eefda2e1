"""Which rows to keep: a frozen value the walk is given."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from stellarrow.errors import ConfigError

_LISTS: Final = ("contract_ids", "asset_codes", "asset_issuers", "event_names", "event_types", "accounts")
_SQL: Final = ("where", "select")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which rows to keep: a field's values are alternatives, fields must agree, an empty one lets all in.

    `asset_codes` are CODE, CODE:ISSUER, native (XLM says the same) or the contract of a token; texts of the
    chain stand there, and in `event_names`, as tables write them. `event_types` are transfer, mint, burn,
    clawback and fee, and operations such as payment, of token transfers; and those of contract events.

    `where` is a condition in SQL on the columns of every table asked for, `select` what stands behind SELECT:
    the columns to make. Both are DuckDB's dialect and need the extra `sql`.
    """

    contract_ids: Sequence[str] = ()
    asset_codes: Sequence[str] = ()
    asset_issuers: Sequence[str] = ()
    event_names: Sequence[str] = ()
    event_types: Sequence[str] = ()
    accounts: Sequence[str] = ()
    include_deleted: bool = True
    where: str = ""
    select: str = ""

    @classmethod
    def of(cls, where: Filter | str | None, *, select: str = "") -> Filter:
        """Take a filter, a condition in SQL, or nothing, for a filter; `select` adds columns to make."""
        if where is not None and not isinstance(where, str | Filter):
            raise ConfigError(f"where is {where!r}: give a Filter, or a condition in SQL as text")
        made = cls(where=where) if isinstance(where, str) else where or cls()
        return replace(made, select=select) if select else made

    def __post_init__(self) -> None:
        for one in fields(self):
            value: Any = getattr(self, one.name)
            if one.name in _LISTS:
                value = _texts(one.name, value)
            elif one.name in _SQL:
                if not isinstance(value, str):
                    raise ConfigError(f"the filter's {one.name} is {value!r}: give a text in SQL")
                value = value.strip()
            elif not isinstance(value, bool):
                raise ConfigError(f"the filter's {one.name} is {value!r}: give True or False")
            object.__setattr__(self, one.name, value)

    def __str__(self) -> str:
        """Return what differs from no filter, the same text for the same rows."""
        report: dict[str, Any] = {name: sorted(set(getattr(self, name))) for name in _LISTS}
        report |= {name: getattr(self, name) for name in _SQL}
        report = {name: value for name, value in report.items() if value}
        if not self.include_deleted:
            report["include_deleted"] = False
        return json.dumps(report, sort_keys=True) if report else ""


def _texts(name: str, values: Any) -> tuple[str, ...]:
    if isinstance(values, str):
        raise ConfigError(f"the filter's {name} is a single text: give a list, such as [{values!r}]")
    if not isinstance(values, Iterable):
        raise ConfigError(f"the filter's {name} is {values!r}: give a list of texts")
    found = tuple(values)
    if not all(isinstance(value, str) for value in found):
        raise ConfigError(f"the filter's {name} is {values!r}: give a list of texts")
    return tuple("native" if name == "asset_codes" and value == "XLM" else value for value in found)
