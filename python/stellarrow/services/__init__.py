"""What a long-running service is made of, usable without the command line."""
