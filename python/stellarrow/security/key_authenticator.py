"""Callers who show an API key."""

from __future__ import annotations

import hmac
import time
from typing import Final

from stellarrow.errors import Unauthenticated
from stellarrow.security.api_keys import PREFIX, ApiKey, Secret, digest_of, read_text
from stellarrow.security.key_store import KeyStore
from stellarrow.security.permissions import permissions_of
from stellarrow.security.principal import Call, CredentialExpired, Principal
from stellarrow.telemetry.metrics import Metrics

_NO_DIGEST: Final = "0" * 64
_UNKNOWN: Final = "the API key is not known here"


class KeyAuthenticator:
    """Finds a key by its public id, and compares digests in constant time."""

    kind = "api_key"

    def __init__(self, store: KeyStore, metrics: Metrics | None = None) -> None:
        self.store = store
        self._usage = (metrics or Metrics()).api_key_usage

    def __call__(self, call: Call, /) -> Principal | None:
        """Return whose key it is; None where no key is shown."""
        text = call.token
        if not text.startswith(PREFIX):
            return None
        public = read_text(text)
        found = self.store.find(public) if public else None
        # An unknown id takes as long as a wrong secret.
        expected = found[1].digest if found else _NO_DIGEST
        is_right = hmac.compare_digest(digest_of(text), expected)
        if not found or not is_right:
            raise Unauthenticated(_UNKNOWN)
        key, secret = found
        _check(key, secret, call)
        self.store.used(key)
        self._usage.labels(key.key_id).inc()
        return Principal(
            key.key_id,
            self.kind,
            key.roles,
            permissions_of(key.roles),
            min((at for at in (key.expires_at, secret.expires_at) if at is not None), default=None),
            lambda: self._is_valid(secret.id, call.address),
        )

    def may_wait(self, _: Call, /) -> bool:
        return False

    def _is_valid(self, secret_id: str, address: str) -> bool:
        found = self.store.find(secret_id)
        return bool(found) and found[0].revoked_at is None and found[0].admits(address)  # type: ignore[index]  # there is one where it was found


def _check(key: ApiKey, secret: Secret, call: Call) -> None:
    now = time.time()
    if key.revoked_at is not None:
        raise Unauthenticated(f"the API key {key.key_id} was revoked: ask for another")
    if key.state(now) == "expired" or (secret.expires_at is not None and secret.expires_at <= now):
        raise CredentialExpired(f"the API key {key.key_id} has expired: ask for another")
    # A handshake of Flight does not say from where it comes; the calls that follow do.
    if call.address and not key.admits(call.address):
        raise Unauthenticated(f"the API key {key.key_id} may not be used from this address")
