"""Which rows to keep: a frozen value the walk is given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from stellarrow.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which rows to keep: a field's values are alternatives, fields must agree, an empty one lets all in."""

    contract_ids: Sequence[str] = ()
    asset_codes: Sequence[str] = ()
    asset_issuers: Sequence[str] = ()
    event_names: Sequence[str] = ()
    event_types: Sequence[str] = ()
    accounts: Sequence[str] = ()
    include_deleted: bool = True

    def __post_init__(self) -> None:
        for one in fields(self):
            values = getattr(self, one.name)
            if isinstance(values, str):
                raise ConfigError(
                    f"the filter's {one.name} is a single text: give a list, such as [{values!r}]"
                )
            if one.name != "include_deleted":
                object.__setattr__(self, one.name, tuple(values))

    def __str__(self) -> str:
        """Return what differs from no filter, the same text for the same rows."""
        chosen = {one.name: sorted(set(getattr(self, one.name))) for one in fields(self)[:-1]}
        told: dict[str, Any] = {name: values for name, values in chosen.items() if values}
        if not self.include_deleted:
            told["include_deleted"] = False
        return json.dumps(told, sort_keys=True) if told else ""
