"""The API keys of a state folder, in SQLite: digests alone, each row with a checksum, changes whole or not.

Several services and the command line may share a store. A service sees what another changed after
`_SHARED_SECONDS` at the latest, and what it changed itself at once.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from stellarrow.errors import ApiKeyExists, ConfigError, Damaged, SinkUnavailable, UnknownApiKey
from stellarrow.net.redaction import shortened
from stellarrow.security.api_keys import (
    ApiKey,
    Secret,
    check_description,
    check_name,
    check_networks,
    digest_of,
    make_text,
    of_document,
    read_text,
    to_document,
)
from stellarrow.security.permissions import permissions_of
from stellarrow.storage.private import keep_private, private_file, private_folder

FILE: Final = "api_keys.sqlite3"
_FORMAT: Final = 1  # SQLite's user_version
_BUSY_SECONDS: Final = 5.0
_SHARED_SECONDS: Final = 0.1
_SCHEMA: Final = """
create table if not exists api_keys (
    key_id text primary key, document text not null, digest text not null
) strict
"""
_log: Final = logging.getLogger(__name__)


class KeyStore:
    """API keys on disk and in memory; any thread may call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._keys: Mapping[str, ApiKey] = {}
        self._by_secret: Mapping[str, tuple[ApiKey, Secret]] = {}
        self._damaged: tuple[str, ...] = ()
        self._version: int | None = None
        self._checked_at = 0.0
        with self._translate_errors():
            private_folder(path.parent)
            private_file(path, "ab").close()
            keep_private(path, ())
            self._database = sqlite3.connect(
                path, check_same_thread=False, isolation_level=None, timeout=_BUSY_SECONDS
            )
            self._agree_format()
        self._refresh(force=True)

    @property
    def damaged(self) -> tuple[str, ...]:
        """The names of keys whose row is not what was written; they admit nobody."""
        self._refresh()
        return self._damaged

    def entries(self) -> list[ApiKey]:
        """Return every key, revoked ones too, the oldest first."""
        self._refresh()
        return sorted(self._keys.values(), key=lambda key: key.created_at)

    def get(self, key_id: str) -> ApiKey:
        self._refresh()
        if key_id not in self._keys:
            raise UnknownApiKey(
                f"there is no API key {shortened(key_id)!r}: stellarrow keys list shows those there are"
            )
        return self._keys[key_id]

    def find(self, secret_id: str) -> tuple[ApiKey, Secret] | None:
        """Return the key and the secret of a public id."""
        self._refresh()
        if secret_id not in self._by_secret:
            self._refresh(now=True)  # another may have made it just now
        return self._by_secret.get(secret_id)

    def create(
        self,
        key_id: str,
        roles: Sequence[str],
        *,
        created_by: str,
        description: str = "",
        expires_at: float | None = None,
        allowed_networks: Sequence[str] = (),
        text: str | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key and return it with its text, which nobody can ask for again."""
        if not roles:
            raise ConfigError("a key needs a role: name one, such as reader")
        permissions_of(roles)
        now = time.time()
        if expires_at is not None and expires_at <= now:
            raise ConfigError("the key would have expired already: name a time that is to come")
        public, text = (read_text(text), text) if text else make_text()
        if public is None:
            raise ConfigError("what is given is no API key: make one with stellarrow keys create")
        key = ApiKey(
            key_id=check_name(key_id),
            roles=tuple(dict.fromkeys(roles)),
            description=check_description(description),
            created_at=now,
            created_by=created_by,
            expires_at=expires_at,
            allowed_networks=check_networks(tuple(allowed_networks)),
            secrets=(Secret(public, digest_of(text), now),),
        )
        with self._changing() as held:
            if key_id in held and held[key_id].revoked_at is None:
                raise ApiKeyExists(
                    f"there is an API key {key_id!r} already: rotate it, or choose another name"
                )
            self._save(key)
        return key, text

    def rotate(self, key_id: str, *, overlap: float) -> tuple[ApiKey, str]:
        """Give a key a new secret; the one before is valid for `overlap` more seconds."""
        with self._changing() as held:
            key = _active(held, key_id)
            now = time.time()
            public, text = make_text()
            ends = now + overlap
            kept = tuple(
                replace(one, expires_at=min(ends, one.expires_at or ends))
                for one in key.secrets
                if overlap > 0 and (one.expires_at is None or one.expires_at > now)
            )
            # It is as long valid as it was when it was made.
            expires = None if key.expires_at is None else now + (key.expires_at - _begin(key))
            rotated = replace(key, secrets=(*kept, Secret(public, digest_of(text), now)), expires_at=expires)
            self._save(rotated)
        return rotated, text

    def revoke(self, key_id: str) -> ApiKey:
        """End a key for good; its open streams end, too."""
        with self._changing() as held:
            revoked = replace(_active(held, key_id), revoked_at=time.time())
            self._save(revoked)
        return revoked

    def used(self, key: ApiKey) -> None:
        """Note the day on which a key was used; what hinders that hinders no call."""
        today = datetime.now(UTC).date().isoformat()
        if key.last_used == today:
            return
        try:
            with self._changing() as held:
                if key.key_id in held:
                    self._save(replace(held[key.key_id], last_used=today))
        except SinkUnavailable as error:
            _log.warning("the last use of API key %s is not noted: %s", key.key_id, error)

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _refresh(self, *, now: bool = False, force: bool = False) -> None:
        """Read the file again where somebody changed it, looking now and then or `now`; or in any case."""
        at = time.monotonic()
        if not (now or force) and at - self._checked_at < _SHARED_SECONDS:
            return
        with self._lock, self._translate_errors():
            (version,) = self._database.execute("pragma data_version").fetchone()
            if force or version != self._version:
                self._load(self._database.execute("select key_id, document, digest from api_keys").fetchall())
            self._version, self._checked_at = version, at

    def _load(self, rows: list[tuple[str, str, str]]) -> None:
        keys: dict[str, ApiKey] = {}
        damaged = []
        for key_id, document, told in rows:
            try:
                if told != _digest(key_id, document):
                    raise ValueError(key_id)
                keys[key_id] = of_document(key_id, json.loads(document))
            except (ValueError, TypeError, KeyError):
                damaged.append(str(key_id))
        if new := sorted(set(damaged) - set(self._damaged)):
            _log.error("%s: damaged API keys admit nobody: %s; revoke them", self.path, ", ".join(new))
        self._damaged = tuple(damaged)
        self._by_secret = {secret.id: (key, secret) for key in keys.values() for secret in key.secrets}
        self._keys = keys

    @contextmanager
    def _changing(self) -> Iterator[Mapping[str, ApiKey]]:
        """Hold the file alone while what is in it is read and changed."""
        with self._lock, self._translate_errors():
            self._database.execute("begin immediate")
            try:
                self._load(self._database.execute("select key_id, document, digest from api_keys").fetchall())
                yield self._keys
                self._database.execute("commit")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._database.execute("rollback")
                raise
            finally:
                self._refresh(force=True)

    def _save(self, key: ApiKey) -> None:
        document = json.dumps(to_document(key))
        self._database.execute(
            "insert or replace into api_keys values (?, ?, ?)",
            (key.key_id, document, _digest(key.key_id, document)),
        )

    def _agree_format(self) -> None:
        (held,) = self._database.execute("pragma user_version").fetchone()
        if held > _FORMAT:
            raise ConfigError(
                f"{self.path} was written by a newer stellarrow (format {held}, not {_FORMAT}): update"
            )
        self._database.execute("pragma synchronous = full")
        self._database.execute("pragma secure_delete = on")
        if held < _FORMAT:
            self._database.execute(_SCHEMA)
            self._database.execute(f"pragma user_version = {_FORMAT}")

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise SinkUnavailable(
                    f"{self.path} cannot be used ({error}): repair that, or wait"
                ) from error
            raise Damaged(f"{self.path} is damaged ({error}): restore a copy, or make new keys") from error
        except OSError as error:
            raise SinkUnavailable(f"{self.path} cannot be used ({error.strerror}): repair that") from error


def _active(held: Mapping[str, ApiKey], key_id: str) -> ApiKey:
    key = held.get(key_id)
    if key is not None and key.revoked_at is not None:
        raise UnknownApiKey(f"the API key {shortened(key_id)!r} is revoked already: create another")
    if key is None:
        raise UnknownApiKey(
            f"there is no API key {shortened(key_id)!r}: stellarrow keys list shows those there are"
        )
    return key


def _begin(key: ApiKey) -> float:
    """Return when the newest secret was made."""
    return max((one.created_at for one in key.secrets), default=key.created_at)


def _digest(key_id: Any, document: Any) -> str:
    return hashlib.sha256(f"{key_id}\n{document}".encode()).hexdigest()
