"""What sessions put out, pushed to another Flight server."""
