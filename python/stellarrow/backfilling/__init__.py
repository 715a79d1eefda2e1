"""Work that is cut into shards: which ledgers each has, and who extracts them."""
