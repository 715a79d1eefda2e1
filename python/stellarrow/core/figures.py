"""Figures over time windows, counted in the Rust core."""

from __future__ import annotations

from stellarrow._core import Figures

__all__ = ["Figures"]
