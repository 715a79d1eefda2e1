"""Records as objects of a store that writes only in the place of what the writer has read (If-Match)."""

from __future__ import annotations

from typing import Any, Final

from stellarrow.errors import SinkError
from stellarrow.extras import needing
from stellarrow.records.record import Record
from stellarrow.storage.object_store import CloudStore
from stellarrow.storage.store import StoreOptions

with needing("an object store", "lake"):
    import obstore
    from obstore.exceptions import AlreadyExistsError, PreconditionError

_SECONDS: Final = 5.0  # a request: a record has a few kilobytes


class ObjectRecords:
    """A bucket, or the part of it below a prefix; a version is the object's ETag."""

    def __init__(self, url: str, options: StoreOptions | None = None) -> None:
        self._store = _Conditional(url, options or StoreOptions(timeout=_SECONDS))
        self.where = self._store.where

    def get(self, key: str) -> Record | None:
        return self._store.versioned(key)

    def replace(self, key: str, data: bytes, *, of: str | None) -> str | None:
        return self._store.put_over(key, data, of)

    def remove(self, key: str) -> None:
        self._store.delete(key)

    def close(self) -> None:
        """Do nothing: connections go with the object."""


class _Conditional(CloudStore):
    """A store as records need it, with its translation of errors."""

    def versioned(self, key: str) -> Record | None:
        def work() -> Record | None:
            try:
                found = obstore.get(self._store, key)
            except FileNotFoundError:
                return None
            return Record(found.bytes().to_bytes(), self._tag(key, found.meta))

        return self._done(work, key, writing=True)

    def put_over(self, key: str, data: bytes, of: str | None) -> str | None:
        self._check_may_write()

        def work() -> str | None:
            try:
                put = obstore.put(self._store, key, data, mode="create" if of is None else _update(of))
            except (AlreadyExistsError, PreconditionError, FileNotFoundError):
                return None
            return self._tag(key, put)

        return self._done(work, key, writing=True)

    def delete(self, key: str) -> None:
        def work() -> None:
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError:
                return

        self._done(work, key, writing=True)

    def _tag(self, key: str, told: Any) -> str:
        tag, version = told.get("e_tag"), told.get("version")
        if not tag:
            raise SinkError(f"{self.where}/{key}: the store tells no ETag: keep shared records elsewhere")
        return f"{tag} {version}" if version else str(tag)


def _update(of: str) -> Any:
    tag, _, version = of.partition(" ")
    return {"e_tag": tag, **({"version": version} if version else {})}
