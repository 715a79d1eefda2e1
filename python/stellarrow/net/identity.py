"""By which name every client of ours introduces itself."""

from typing import Final

from stellarrow.decode import __version__

USER_AGENT: Final = f"stellarrow/{__version__}"
