"""Addresses of servers, and what is done when they fail."""
