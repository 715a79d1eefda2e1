"""Places of Delta tables as words: `delta:./out?ledgers=1000`, `delta:s3://bucket/prefix`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from stellarrow.errors import ConfigError, nearest
from stellarrow.net.redaction import redacted_url
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.location import OPTIONS as _FILES
from stellarrow.sinks.files.location import open_files
from stellarrow.storage.files import FileStore
from stellarrow.storage.paths import local_path

OPTIONS: Final[Mapping[str, str]] = {name: _FILES[name] for name in ("codec", "ledgers", "endpoint")}
_FORM: Final = "write delta:FOLDER or delta:s3://BUCKET/PREFIX"


@dataclass(frozen=True, slots=True)
class Location:
    """Where tables lie, each in a folder of its name, and how their files are made."""

    location: str
    codec: str | None = None
    ledgers: int = 1_000
    endpoint: str | None = None

    @classmethod
    def parse(cls, url: str) -> Location:
        """Read delta:PLACE, with options behind a question mark."""
        location, _, query = url.partition(":")[2].partition("?")
        if not location.removeprefix("//"):
            raise ConfigError(f"{redacted_url(url)!r} names no place: {_FORM}")
        options: dict[str, Any] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            if name not in OPTIONS:
                remedy = nearest(name, OPTIONS, f"choose among {', '.join(OPTIONS)}")
                raise ConfigError(f"{redacted_url(url)!r} has an unknown option {name!r}: {remedy}")
            options[name] = value
        if "ledgers" in options:
            if not options["ledgers"].isdecimal() or options["ledgers"] == "0":
                raise ConfigError(
                    f"{redacted_url(url)!r}: ledgers is how many a file holds, such as ledgers=1000"
                )
            options["ledgers"] = int(options["ledgers"])
        Parquet(options.get("codec"))
        return cls(location if "://" in location else location.removeprefix("//"), **options)

    @property
    def root(self) -> str:
        """Name the place alike, however it is written."""
        location = self.location.removeprefix("file://")
        return location.rstrip("/") if "://" in location else os.path.realpath(local_path(location))

    def open(self, *, instance_credentials: bool | None = None) -> FileStore:
        """Open the place itself."""
        return open_files(self.location, endpoint=self.endpoint, instance_credentials=instance_credentials)
