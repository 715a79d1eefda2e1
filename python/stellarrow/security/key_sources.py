"""The public keys that tokens are signed with: of an issuer on the web, or of a file."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from stellarrow.errors import ConfigError, SourceUnavailable, Unauthenticated
from stellarrow.extras import needing
from stellarrow.net.bounded_json import read_object
from stellarrow.net.http_request import ask
from stellarrow.storage.paths import given_bytes

with needing("tokens (JWT)", "servers"):
    from joserfc.errors import JoseError
    from joserfc.jwk import Key, KeySet, OctKey, import_key

_TIMEOUT: Final = 5.0
_KEPT_SECONDS: Final = 600.0  # then the issuer is asked again
_UNKNOWN_SECONDS: Final = 60.0  # between two questions because of a key that is unknown
_FAILED_SECONDS: Final = 5.0  # between two questions where no answer came
_STAT_SECONDS: Final = 1.0
_LARGEST: Final = 1 << 20
_SECRET_BYTES: Final = 32  # as many as HS256 digests have
_log: Final = logging.getLogger(__name__)


class KeySource(Protocol):
    """Where the key of a token comes from."""

    def key(self, kid: str | None, /) -> Key:
        """Return a key by its id; Unauthenticated for an unknown one, SourceUnavailable if none can say."""

    def has(self, kid: str | None, /) -> bool:
        """Tell, without waiting, whether the key is still among those last read."""


class IssuerKeys:
    """The keys at a URL, or at the one that an OIDC issuer's discovery document names."""

    def __init__(self, issuer: str, url: str | None = None, *, clock: Callable[[], float] = time.monotonic):
        _check_secure(url or issuer, "jwt_jwks_url" if url else "jwt_issuer")
        self._issuer = issuer
        self._url = url
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str | None, Key] = {}
        self._read_at: float | None = None
        self._asked_at: float | None = None

    def key(self, kid: str | None, /) -> Key:
        if self._is_stale() or not self.has(kid):
            with self._lock:
                self._refresh(kid)
        found = self._found(kid)
        if found is None:
            raise Unauthenticated("the token is signed with a key that its issuer does not publish")
        return found

    def has(self, kid: str | None, /) -> bool:
        return self._found(kid) is not None

    def _found(self, kid: str | None) -> Key | None:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid) if kid is not None else None

    def _is_stale(self) -> bool:
        return self._read_at is None or self._clock() - self._read_at > _KEPT_SECONDS

    def _refresh(self, kid: str | None) -> None:
        """Ask the issuer, unless it was asked just now; an old answer is better than none."""
        if not self._is_stale() and self.has(kid):
            return  # another thread was faster
        pause = _FAILED_SECONDS if self._is_stale() else _UNKNOWN_SECONDS
        if self._asked_at is None or self._clock() - self._asked_at >= pause:
            self._asked_at = self._clock()
            try:
                self._keys = self._fetched()
                self._read_at = self._clock()
                return
            except (OSError, HTTPException, ConfigError, JoseError, KeyError, TypeError, ValueError) as error:
                _log.warning("the keys of %s cannot be read: %s", self._issuer, error)
        if self._read_at is None:
            raise SourceUnavailable(
                "the keys of the tokens' issuer cannot be read", retry_after=_FAILED_SECONDS
            )

    def _fetched(self) -> dict[str | None, Key]:
        url = self._url or self._discovered()
        keys = KeySet.import_key_set({"keys": [one for one in _asked(url)["keys"] if _is_public(one)]})
        return {key.kid: key for key in keys}

    def _discovered(self) -> str:
        found = _asked(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self._issuer:
            raise ConfigError(f"the discovery document is of {found.get('issuer')!r}, not of {self._issuer}")
        url = found["jwks_uri"]
        _check_secure(url, "jwks_uri")
        return str(url)


class FileKeys:
    """The keys in a file: PEM, JWKS, or the secret of HS256; read again when it changes."""

    def __init__(self, path: Path, *, symmetric: bool) -> None:
        self._path = path
        self._symmetric = symmetric
        self._lock = threading.Lock()
        self._looked_at = 0.0
        self._version: tuple[int, int] | None = None
        self._keys: list[Key] = []
        self._look()

    def key(self, kid: str | None, /) -> Key:
        with self._lock:
            if time.monotonic() - self._looked_at >= _STAT_SECONDS:
                self._look_again()
        found = self._found(kid)
        if found is None:
            raise Unauthenticated("the token is signed with a key that is not known here")
        return found

    def has(self, kid: str | None, /) -> bool:
        return self._found(kid) is not None

    def _found(self, kid: str | None) -> Key | None:
        named = [key for key in self._keys if key.kid == kid and kid is not None]
        if named:
            return named[0]
        # A key without an id, as in PEM, is meant for every token.
        return self._keys[0] if len(self._keys) == 1 and (kid is None or self._keys[0].kid is None) else None

    def _look_again(self) -> None:
        try:
            self._look()
        except ConfigError as error:
            _log.error("the keys for tokens stay as they were: %s", error)

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        try:
            state = self._path.stat()
            version = (state.st_mtime_ns, state.st_size)
            if version != self._version:
                self._keys = self._read(given_bytes(self._path))
                self._version = version
        except (OSError, JoseError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{self._path} holds no key for tokens ({error}): name a PEM or JWKS file, or a secret"
            ) from error

    def _read(self, text: bytes) -> list[Key]:
        if text.lstrip().startswith(b"{"):
            given = json.loads(text)
            keys: list[Key] = list(KeySet.import_key_set(given if "keys" in given else {"keys": [given]}))
        elif self._symmetric:
            if len(text.strip()) < _SECRET_BYTES:
                raise ValueError(f"the secret has fewer than {_SECRET_BYTES} bytes")
            keys = [OctKey.import_key(text.strip())]
        else:
            keys = [_of_pem(text)]
        if self._symmetric != all(isinstance(key, OctKey) for key in keys):
            raise ValueError("HS256 needs a secret, and every other algorithm a public key")
        return keys


def _of_pem(text: bytes) -> Key:
    for kind in ("RSA", "EC", "OKP"):
        try:
            return import_key(text, kind)
        except (JoseError, ValueError, TypeError):
            continue
    raise ValueError("no PEM of an RSA, EC or Ed25519 key")


def _asked(url: str) -> dict[str, Any]:
    answer = ask("GET", url, timeout=_TIMEOUT)
    if answer.status != 200:
        raise ConfigError(f"{url} answers {answer.status}")
    return read_object(answer.body, url, largest=_LARGEST)


def _is_public(key: Any) -> bool:
    """Tell whether it is a key for signatures; a secret in public would be one for everybody."""
    return isinstance(key, dict) and key.get("kty") != "oct" and key.get("use", "sig") == "sig"


def _check_secure(url: str, name: str) -> None:
    parts = urlsplit(url)
    is_here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
        raise ConfigError(f"{name} is {url!r}: it must be https://, or anybody on the way could make tokens")
