"""The programs that are measured: one a language, all with the same flags and the same JSON line."""
