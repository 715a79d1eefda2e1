"""By which name every client of ours introduces itself."""

from importlib.metadata import version
from typing import Final

USER_AGENT: Final = f"stellarrow/{version('stellarrow')}"
