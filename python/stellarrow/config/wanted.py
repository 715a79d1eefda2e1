"""Which ledgers and which of their rows a service is asked for."""

from __future__ import annotations

import time
from dataclasses import dataclass

from stellarrow.config.settings import Settings, setting
from stellarrow.config.values import LEDGER_OR_DATE, LIST, TRUTH
from stellarrow.errors import ConfigError
from stellarrow.ledgers.dates import read_moment


@dataclass(frozen=True, kw_only=True)
class Filtered(Settings):
    """Which rows are wanted."""

    filter_contract_ids: tuple[str, ...] = setting(
        LIST, "", "FILTER_CONTRACT_IDS", help="Only rows of these contracts (C…)."
    )
    filter_asset_codes: tuple[str, ...] = setting(
        LIST, "", "FILTER_ASSET_CODES", help="Only rows of these assets: CODE, CODE:ISSUER or native (XLM)."
    )
    filter_asset_issuers: tuple[str, ...] = setting(
        LIST, "", "FILTER_ASSET_ISSUERS", help="Only rows of assets of these issuers."
    )
    include_assets: tuple[str, ...] = setting(
        LIST,
        "",
        "INCLUDE_ASSETS",
        help="Assets beside those: CODE, CODE:ISSUER, native (XLM) or a token's contract.",
    )
    event_types: tuple[str, ...] = setting(
        LIST,
        "",
        "EVENT_TYPES",
        help="Only transfers of these: transfer, mint, burn, clawback, fee; payment and other operations.",
    )
    include_deleted: bool = setting(TRUTH, "true", "INCLUDE_DELETED", help="Rows of removed entries too.")


@dataclass(frozen=True, kw_only=True)
class Ranged(Settings):
    """Which ledgers are wanted."""

    start_ledger: int | str | None = setting(
        LEDGER_OR_DATE, None, "START_LEDGER", help="The first ledger, or a date: 2024-07-01."
    )
    end_ledger: int | str | None = setting(
        LEDGER_OR_DATE, None, "END_LEDGER", help="The last ledger, or a date; 0 follows the chain."
    )

    def __post_init__(self) -> None:
        first, last = self.start_ledger or 0, self.end_ledger or 0
        if isinstance(first, str) and isinstance(last, str):
            swapped = read_moment(last).last < read_moment(first).first
        else:
            swapped = isinstance(first, int) and isinstance(last, int) and 0 < last < first
        ends = f"{self.origin('end_ledger')} is {last}"
        if swapped:
            raise ConfigError(f"{ends}, before {self.origin('start_ledger')} {first}: swap them")
        if isinstance(last, str) and read_moment(last).last > time.time():
            raise ConfigError(f"{ends}, which is still to come: leave it out to follow the chain")

    @property
    def by_date(self) -> bool:
        """Whether a source has to tell which ledgers are meant."""
        return isinstance(self.start_ledger, str) or isinstance(self.end_ledger, str)

    @property
    def ledgers_asked(self) -> str:
        """The range as the command line writes it."""
        return f"{self.start_ledger or ''}:{self.end_ledger or ''}"
