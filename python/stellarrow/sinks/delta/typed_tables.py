"""Which of contracts' own tables a place has: a small file for each, so that nobody lists what they hold.

It is there before the table's first commit; the table alone tells whether that came to anything.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from stellarrow.core.tables import TYPED
from stellarrow.sinks.delta.log import DeltaLog
from stellarrow.storage.files import FileStore

_ABOVE: Final = "typed"  # the folder of their folders
_NOTES: Final = f"{_ABOVE}/_tables"
_SUFFIX: Final = ".txt"
_NOTE: Final = re.compile(rf"{_NOTES}/[^/]+/[^/]+/[^/]+{re.escape(_SUFFIX)}")


def note(log: DeltaLog) -> None:
    """Note a table that is made just now."""
    log.put(f"{_NOTES}{log.folder.removeprefix(_ABOVE)}{_SUFFIX}", _name(log.folder).encode())


def names(store: FileStore) -> list[str]:
    """Return the tables that were noted, sorted."""
    paths = (one.path for one in store.list(_NOTES, deep=True) if _NOTE.fullmatch(one.path))
    return sorted(_name(path.removesuffix(_SUFFIX).replace(_NOTES, _ABOVE, 1)) for path in paths)


def _name(folder: str) -> str:
    """Return the name of the table in a folder."""
    target, rows, last = folder.removeprefix(f"{_ABOVE}/").split("/")
    return f"{TYPED}{target}/{rows}/{unquote(last)}"
