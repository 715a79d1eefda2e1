"""Interfaces of contracts."""
