"""Subscriptions over WebSocket, subprotocol `stellarrow.v1`."""
