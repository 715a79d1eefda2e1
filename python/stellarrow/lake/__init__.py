"""Data lakes of ledgers as SEP-54 lays them out: their names, and how to write and check one."""
