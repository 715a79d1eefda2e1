"""Parameters of requests: each is read, checked and described in one place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from stellarrow.analysis.reads.refusals import Refused
from stellarrow.errors import nearest
from stellarrow.net.redaction import shortened

_MOST_VALUES: Final = 500  # of a list
_LONGEST: Final = 256  # characters of a value, where nothing else is said
_LONGEST_SQL: Final = 8_192
DEFAULT_LIMIT: Final = 100
MOST_ROWS: Final = 10_000  # of a page


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: text as it is, unless it has other words, is a number, or a list of values."""

    name: str
    description: str
    place: str = "query"
    default: Any = None
    words: tuple[str, ...] = ()
    least: int | None = None  # it is a whole number
    most: int | None = None
    is_list: bool = False
    pattern: str = ""
    longest: int = _LONGEST  # characters of a value
    like: str = ""  # what a value looks like, for messages
    example: Any = field(default=None, compare=False)

    def read(self, given: Sequence[str]) -> Any:
        """Return the value; Refused where it is none."""
        if not given:
            return () if self.is_list else self.default
        if self.is_list:
            return self._listed(given)
        if len(given) > 1:
            raise self._refused(f"{self.name} is given {len(given)} times: give it once")
        return self._one(given[0])

    def schema(self) -> dict[str, Any]:
        """Return what OpenAPI says of its values."""
        one: dict[str, Any] = {"type": "integer" if self.least is not None else "string"}
        if self.least is not None:
            one |= {"minimum": self.least} | ({} if self.most is None else {"maximum": self.most})
        elif self.words:
            one["enum"] = list(self.words)
        else:
            one |= {"minLength": 1, "maxLength": self.longest}
            if self.pattern:
                one["pattern"] = f"^{self.pattern}$"
        if self.default is not None:
            one["default"] = self.default
        if self.is_list:
            return {"type": "array", "items": one, "minItems": 1, "maxItems": _MOST_VALUES}
        return one

    def _listed(self, given: Sequence[str]) -> tuple[str, ...]:
        values = tuple(part.strip() for text in given for part in text.split(","))
        if len(values) > _MOST_VALUES:
            raise self._refused(f"{self.name} has {len(values)} values: {_MOST_VALUES} are read at most")
        return tuple(self._one(value) for value in values)

    def _one(self, text: str) -> Any:
        if not text:
            raise self._refused(f"{self.name} is empty: give a value, or leave it out")
        if len(text) > self.longest:
            raise self._refused(f"{self.name} has {len(text)} characters: {self.longest} are read at most")
        if self.least is not None:
            return self._number(text)
        if self.words and text not in self.words:
            remedy = nearest(text, self.words, f"it must be {' or '.join(self.words)}")
            raise self._refused(f"{self.name} is {shortened(text)!r}: {remedy}")
        if self.pattern and not re.fullmatch(self.pattern, text, re.ASCII):
            raise self._refused(f"{self.name} is {shortened(text)!r}: it must be {self.like}")
        return text

    def _number(self, text: str) -> int:
        fits = text.isascii() and text.isdigit() and len(text) <= 18
        least, most = self.least or 0, self.most
        if not fits or int(text) < least or (most is not None and int(text) > most):
            bounds = f"from {least} to {most}" if most is not None else f"of at least {least}"
            raise self._refused(f"{self.name} is {shortened(text)!r}: it must be a whole number {bounds}")
        return int(text)

    def _refused(self, sentence: str) -> Refused:
        return Refused(sentence, field=self.name)


def read_all(
    parameters: Sequence[Parameter], query: Mapping[str, Sequence[str]], path: Mapping[str, str]
) -> dict[str, Any]:
    """Return every parameter's value by name; Refused for one that is unknown."""
    known = [one.name for one in parameters if one.place == "query"]
    for name in query:
        if name not in known:
            remedy = nearest(name, known, f"choose among {', '.join(known)}" if known else "leave it out")
            raise Refused(f"there is no parameter {shortened(name)!r} here: {remedy}", field=shortened(name))
    return {
        one.name: one.read([path[one.name]] if one.place == "path" else query.get(one.name, ()))
        for one in parameters
    }


TABLE: Final = Parameter("table", "A table's name.", place="path", example="token_transfers")
ACCOUNT_ID: Final = Parameter(
    "account",
    "An account (G…), or a contract (C…) that holds tokens.",
    place="path",
    pattern="[GC][A-Z2-7]{55}",
    like="an account's id (G…) or a contract's (C…)",
)
CONTRACT_ID: Final = Parameter(
    "contract", "A contract's id.", place="path", pattern="C[A-Z2-7]{55}", like="a contract's id (C…)"
)
ASSET: Final = Parameter(
    "asset",
    "native, CODE:ISSUER, or a contract's id.",
    place="path",
    pattern="(native|XLM|[A-Za-z0-9]{1,12}:G[A-Z2-7]{55}|C[A-Z2-7]{55})",
    like="native, CODE:ISSUER or a contract's id",
    example="native",
)
START: Final = Parameter(
    "start", "The first ledger, or a time: the first that closed then or later.", example="2024-09-02"
)
END: Final = Parameter("end", "The last ledger, or a time: the last that closed then or before. Included.")
COLUMNS: Final = Parameter("columns", "Which columns, in this order; all by default.", is_list=True)
WHERE: Final = Parameter(
    "where",
    "A condition in SQL on the table's columns.",
    longest=_LONGEST_SQL,
)
LIMIT: Final = Parameter(
    "limit", "How many rows a page has at most.", default=DEFAULT_LIMIT, least=1, most=MOST_ROWS
)
CURSOR: Final = Parameter("cursor", "The next_cursor of the page before; all else as it was then.")
FORMAT: Final = Parameter(
    "format",
    "Instead of the header Accept. Without limit, all but json send every row.",
    words=("json", "ndjson", "csv", "arrow", "parquet"),
)
CONTRACT_IDS: Final = Parameter("contract_ids", "Only rows of these contracts.", is_list=True)
ACCOUNTS: Final = Parameter("accounts", "Only rows from, to or of these accounts.", is_list=True)
ASSETS: Final = Parameter(
    "assets", "Only rows of these: native, CODE, CODE:ISSUER or a contract's id.", is_list=True
)
EVENT_TYPES: Final = Parameter(
    "event_types", "Only events of these types (transfer, mint …) or operations (payment …).", is_list=True
)
EVENT_NAMES: Final = Parameter("event_names", "Only events whose first topic is one of these.", is_list=True)


def order(default: str) -> Parameter:
    """The oldest rows first, or the newest."""
    words = ("asc", "desc")
    return Parameter("order", "asc: the oldest rows first.", words=words, default=default)
