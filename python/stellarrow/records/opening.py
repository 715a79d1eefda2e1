"""Opening the place of shared records that a URL names."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from stellarrow.errors import ConfigError
from stellarrow.net.redaction import redacted_url
from stellarrow.records.record import Records
from stellarrow.storage.paths import local_path

FORMS: Final = "postgres://USER@HOST/DATABASE, s3://BUCKET/PREFIX, gs://…, az://… or a folder"
_DATABASES: Final = ("postgres", "postgresql")
_STORES: Final = ("s3", "gs", "az")


def open_records(url: str) -> Records:
    """Return the place of shared records; nothing is asked or made yet."""
    scheme = urlsplit(url).scheme if "://" in url else ""
    if scheme in _DATABASES:
        from stellarrow.records.in_postgres import PostgresRecords  # noqa: PLC0415  an extra

        return PostgresRecords(url)
    if scheme in _STORES:
        from stellarrow.records.in_objects import ObjectRecords  # noqa: PLC0415  an extra

        return ObjectRecords(url)
    if scheme not in ("", "file"):
        raise ConfigError(f"no shared records are kept in {redacted_url(url)}: name {FORMS}")
    from stellarrow.records.in_folder import FolderRecords  # noqa: PLC0415  as the others

    return FolderRecords(Path(local_path(url)))
