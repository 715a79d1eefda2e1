"""Exports: rows of a table, or of a query, written into files in the background."""
