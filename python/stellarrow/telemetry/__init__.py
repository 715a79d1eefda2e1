"""Metrics, health, logs and rates."""
