"""A session's durable output: segments of Arrow IPC on disk, an index, and what the spool says of itself."""
