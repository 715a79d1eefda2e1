"""A processor's stream into a sink."""
