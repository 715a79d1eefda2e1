"""Which version this is: the Rust core's, which was built with the package."""

from stellarrow import _core

__version__ = _core.__version__
"""The version of stellarrow, as in pyproject.toml."""
