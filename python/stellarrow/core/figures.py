"""Figures over time windows, counted in the Rust core."""

from __future__ import annotations

from typing import Final

from stellarrow._core import Figures

__all__ = ["COUNTED_TABLES", "Figures"]

COUNTED_TABLES: Final = ("ledgers", "token_transfers", "contract_events", "contract_data")
