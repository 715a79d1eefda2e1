"""Filters, aggregates and projections that have names: ready-made, or saved by users."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from stellarrow.errors import ConfigError, nearest
from stellarrow.net.redaction import shortened

if TYPE_CHECKING:
    from stellarrow.sql.aggregation import Aggregation

FILTER: Final = "filter"
AGGREGATE: Final = "aggregate"
PROJECTION: Final = "projection"
KINDS: Final = (FILTER, AGGREGATE, PROJECTION)
ARTICLES: Final = {FILTER: "a filter", AGGREGATE: "an aggregate", PROJECTION: "a projection"}
_READY_MADE: Final = "ready-made"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedQuery:
    """A named expression over the columns of one table.

    `kind` is `filter` (what SQL has after WHERE), `aggregate` (`sum(amount_raw) as volume by asset`) or
    `projection` (what SQL has after SELECT); `table` is `name` or `name@version`. Words of the older family
    of components stand for columns: `docs/computations.md` has them.
    """

    name: str
    table: str
    kind: str
    expression: str
    description: str = ""
    origin: str = "saved"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"a query is called {shortened(self.name)!r}: a name has lower-case letters, digits and _,"
                " begins with a letter, and has 64 characters at most"
            )
        if self.kind not in KINDS:
            remedy = nearest(self.kind, KINDS, f"it must be {', '.join(KINDS)}")
            raise ConfigError(f"query {self.name}: its kind is {shortened(self.kind)!r}: {remedy}")
        if not self.expression.strip():
            raise ConfigError(f"query {self.name}: its expression is empty: write it in SQL")

    @property
    def table_name(self) -> str:
        """The table without a version."""
        return self.table.partition("@")[0]

    def condition(self, columns: pa.Schema) -> str:
        """Return a filter in SQL of a table's columns alone, as `where` takes it."""
        from stellarrow.sql.aliases import in_columns  # noqa: PLC0415  an extra
        from stellarrow.sql.parsing import parse_condition, written  # noqa: PLC0415  an extra

        self._require(FILTER)
        return written(in_columns(parse_condition(self.expression), columns).unalias())

    def select(self, columns: pa.Schema) -> str:
        """Return a projection in SQL of a table's columns alone, as `select` takes it."""
        from stellarrow.sql.aliases import in_columns  # noqa: PLC0415  an extra
        from stellarrow.sql.parsing import parse_columns, written  # noqa: PLC0415  an extra

        self._require(PROJECTION)
        trees = parse_columns(self.expression)
        return ", ".join(written(in_columns(one, columns, whole_amounts=False)) for one in trees)

    def aggregation(self, columns: pa.Schema, whole: pa.Schema) -> Aggregation:
        """Compile an aggregate over a table's columns; `whole` has those on request too, for messages."""
        from stellarrow.sql import explained  # noqa: PLC0415  a circle else
        from stellarrow.sql.aggregation import aggregation  # noqa: PLC0415  an extra

        self._require(AGGREGATE)
        with explained():
            return aggregation(self.table_name, columns, whole, self.expression)

    def _require(self, kind: str) -> None:
        if self.kind != kind:
            raise ConfigError(f"{self.name} is {ARTICLES[self.kind]}, not {ARTICLES[kind]}")


READY_MADE: Final = (
    NamedQuery(
        name="successful_payments",
        table="token_transfers",
        kind=FILTER,
        expression="successful = true and event_type = 'payment'",
        description="What payments moved, of transactions that took effect.",
        origin=_READY_MADE,
    ),
    NamedQuery(
        name="large_amounts",
        table="token_transfers",
        kind=FILTER,
        expression="amount_raw > 10000000",
        description="Movements of more than 10,000,000 of a token's smallest unit, which is one lumen.",
        origin=_READY_MADE,
    ),
    NamedQuery(
        name="volume_by_asset",
        table="token_transfers",
        kind=AGGREGATE,
        expression="sum(amount_raw) as volume by asset",
        description="What was moved of each asset in all, in its smallest unit.",
        origin=_READY_MADE,
    ),
    NamedQuery(
        name="transactions_by_hour",
        table="transactions",
        kind=AGGREGATE,
        expression="count(*) as transactions by date_trunc('hour', closed_at) as hour",
        description="Transactions of each hour.",
        origin=_READY_MADE,
    ),
    NamedQuery(
        name="transactions_by_hour",
        table="token_transfers",
        kind=AGGREGATE,
        expression="count(distinct transaction_hash) as transactions"
        " by date_trunc('hour', closed_at) as hour",
        description="Transactions of each hour that moved tokens, fees among them.",
        origin=_READY_MADE,
    ),
)
