"""Delta tables where files are meant, and the other way round: told before either is harmed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from stellarrow.errors import ConfigError
from stellarrow.sinks.files.layout import MANIFEST

_DELTA_LOG: Final = "_delta_log"


def refuse_delta(root: str, tables: Iterable[str] = ()) -> None:
    """Raise a ConfigError if a folder has Delta tables: any, or some of these. URLs are not looked at."""
    if "://" in root:
        return
    found = [Path(root, name.partition("@")[0]) for name in tables] or sorted(Path(root).glob("*"))
    if delta := next((one for one in found if (one / _DELTA_LOG).is_dir()), None):
        raise ConfigError(f"{delta} is a Delta table: name delta:{root}, or another folder for files")


def refuse_files(root: str, tables: Iterable[str]) -> None:
    """Raise a ConfigError if a folder has files where one of these is to be a Delta table."""
    if "://" in root:
        return
    for folder in (Path(root, name.partition("@")[0]) for name in tables):
        if (folder / MANIFEST).is_dir():
            raise ConfigError(
                f"{folder} is a table of plain files: name parquet:{root} (or jsonl:, csv:), or another"
                " folder for Delta tables"
            )
