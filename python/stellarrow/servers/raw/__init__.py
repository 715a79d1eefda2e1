"""Raw ledgers for others: checked once, then handed to many readers, each at its own position."""
