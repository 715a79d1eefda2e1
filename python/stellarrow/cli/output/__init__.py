"""How results, progress and numbers look."""
