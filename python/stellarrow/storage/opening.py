"""Opens the store that a location names."""

from __future__ import annotations

from stellarrow.errors import ConfigError
from stellarrow.registry import STORES
from stellarrow.storage.local import LocalStore
from stellarrow.storage.store import Store, StoreOptions


def open_store(location: str, options: StoreOptions | None = None) -> Store:
    """Open what a URL names (s3, gs, az, https, file), or a folder's path."""
    scheme, separator, path = location.partition("://")
    if not separator:
        return LocalStore(location)
    if scheme == "file":
        return LocalStore(path)
    if scheme not in STORES:
        raise ConfigError(f"{scheme}:// is no object store: choose {', '.join(STORES)} or a path")
    opened: Store = STORES[scheme].load()(location, options or StoreOptions())
    return opened
