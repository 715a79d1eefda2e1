"""What others connect to: one file a protocol."""
