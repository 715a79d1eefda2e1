"""TLS, who may come in, what they may do."""
