"""Places that keep objects under keys, in a folder or in the cloud, behind one small seam."""

from __future__ import annotations

from typing import Final

from stellarrow.errors import ConfigError
from stellarrow.storage.local import LocalStore
from stellarrow.storage.store import Store, StoreOptions

__all__ = ["Store", "StoreOptions", "open_store"]

_CLOUD: Final = ("s3", "gs", "az", "https", "http")


def open_store(location: str, options: StoreOptions | None = None) -> Store:
    """Open what a URL names (s3, gs, az, https, file), or a folder's path."""
    scheme, separator, path = location.partition("://")
    if not separator:
        return LocalStore(location)
    if scheme == "file":
        return LocalStore(path)
    if scheme not in _CLOUD:
        raise ConfigError(
            f"{scheme}:// is no place objects are kept: choose {', '.join(_CLOUD)}, file or a path"
        )
    from stellarrow.storage.object_store import CloudStore  # noqa: PLC0415  an extra

    return CloudStore(location, options or StoreOptions())
