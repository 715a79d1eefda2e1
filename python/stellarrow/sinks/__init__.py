"""Where batches go: one file a kind of place."""
