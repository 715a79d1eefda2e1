"""The one door to the Rust core: everything that calls it, and the translation of its errors."""
