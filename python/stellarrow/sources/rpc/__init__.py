"""Ledgers from Stellar RPC nodes: about the last seven days, and the live edge."""

from stellarrow.sources.rpc.source import RpcSource

__all__ = ["RpcSource"]
