"""Places of files as words: `parquet:./out?partition=date&codec=zstd`, `jsonl:s3://bucket/prefix`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from stellarrow.errors import ConfigError, SinkUnavailable, nearest
from stellarrow.net.redaction import redacted_url
from stellarrow.registry import FILE_STORES, FORMATS
from stellarrow.sinks.files.delta_beside import refuse_other_sinks
from stellarrow.sinks.files.layout import Partition
from stellarrow.sinks.files.signed import checked
from stellarrow.storage.files import FileStore
from stellarrow.storage.paths import is_path, local_path
from stellarrow.storage.store import StoreOptions

OPTIONS: Final = {
    "partition": "how a table's rows are spread over folders, such as date",
    "codec": "how files are compressed, such as zstd",
    "ledgers": "how many ledgers a file holds, 1000 by default",
    "unsigned": "signed writes int64 for uint32, for readers that have no unsigned numbers",
    "endpoint": "where an S3-compatible store is",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A format, where its files lie, and how they are made; `ledgers` are those of one file."""

    format: str
    location: str
    partition: str = "ledgers"
    codec: str | None = None
    ledgers: int = 1_000
    unsigned: str = "unsigned"
    endpoint: str | None = None

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read FORMAT:PLACE, with options behind a question mark; PLACE is a folder or a URL such as s3://."""
        kind, _, rest = text.partition(":")
        location, _, query = rest.partition("?")
        if not location.removeprefix("//"):
            raise ConfigError(
                f"{redacted_url(text)!r} names no folder: write {kind}:FOLDER or {kind}:s3://BUCKET/PREFIX"
            )
        options: dict[str, Any] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            if name not in OPTIONS:
                remedy = nearest(name, OPTIONS, f"choose among {', '.join(OPTIONS)}")
                raise ConfigError(f"{redacted_url(text)!r} has an unknown option {name!r}: {remedy}")
            options[name] = value
        if "ledgers" in options:
            if not options["ledgers"].isdecimal() or options["ledgers"] == "0":
                raise ConfigError(
                    f"{redacted_url(text)!r}: ledgers is how many a file holds, such as ledgers=1000"
                )
            options["ledgers"] = int(options["ledgers"])
        Partition.of(options.get("partition", ""))
        checked(options.get("unsigned", "unsigned"))
        return cls(kind, location if "://" in location else location.removeprefix("//"), **options)

    @property
    def root(self) -> str:
        """Name the place alike, however it is written."""
        location = self.location.removeprefix("file://")
        return location.rstrip("/") if "://" in location else os.path.realpath(local_path(location))

    def open(self, *, instance_credentials: bool | None = None) -> FileStore:
        """Open the place itself."""
        return open_files(self.location, endpoint=self.endpoint, instance_credentials=instance_credentials)


def open_existing(text: str) -> FileStore:
    """Open a place to read what was written there; a folder needs no format before it."""
    named = _with_format(text)
    if named.partition(":")[0] not in FORMATS:
        forms = ", ".join(f"{name}:FOLDER" for name in FORMATS)
        raise ConfigError(f"{redacted_url(text)!r} is no location of files: write a folder, or {forms}")
    place = Place.parse(named)
    if "://" not in place.location:
        refuse_other_sinks(local_path(place.location))
    if "://" not in place.location and not local_path(place.location).is_dir():
        what = "is a file" if local_path(place.location).exists() else "does not exist"
        raise SinkUnavailable(f"{place.location} {what}: name the folder that extract wrote to")
    return place.open()


def root_of(text: str) -> str:
    """Return the folder or URL of a place of files, named with its format or without; others as they are."""
    named = _with_format(text)
    return Place.parse(named).root if named.partition(":")[0] in FORMATS else text


def _with_format(text: str) -> str:
    return text if ":" in text and not is_path(text) else f"{next(iter(FORMATS))}:{text}"


def open_files(
    place: str | os.PathLike[str], *, endpoint: str | None = None, instance_credentials: bool | None = None
) -> FileStore:
    """Open a folder, or what a URL such as s3://BUCKET/PREFIX names."""
    scheme = place.partition("://")[0] if isinstance(place, str) and "://" in place else "file"
    if scheme not in FILE_STORES:
        clouds = ", ".join(name for name in FILE_STORES if name != "file")
        raise ConfigError(f"{scheme}:// is no store of files: choose {clouds} or a folder")
    kind = FILE_STORES[scheme].load()
    opened: FileStore = (
        kind(place.removeprefix("file://") if isinstance(place, str) else place)
        if scheme == "file"
        else kind(str(place), StoreOptions(endpoint=endpoint, instance_credentials=instance_credentials))
    )
    return opened
