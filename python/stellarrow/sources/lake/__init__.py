"""Ledgers in a data lake (SEP-54), near or far."""

from stellarrow.sources.lake.source import LakeOptions, LakeSource

__all__ = ["LakeOptions", "LakeSource"]
