"""Where ledgers come from: one file a kind of place."""
