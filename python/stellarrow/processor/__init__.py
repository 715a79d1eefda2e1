"""Sessions: ledgers processed into a spool that any number of readers take tables from."""
