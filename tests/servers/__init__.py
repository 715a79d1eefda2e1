"""Fixtures of real servers, one file a server."""
