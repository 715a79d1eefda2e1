"""Figures over time windows: kept while rows come, and equal to what SQL over the stored rows gives."""
