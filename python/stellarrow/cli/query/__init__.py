"""SQL for people."""
