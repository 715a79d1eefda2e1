"""Callers who show a token (JWT) of an issuer we trust."""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from stellarrow.errors import Unauthenticated
from stellarrow.extras import needing
from stellarrow.security.api_keys import PREFIX
from stellarrow.security.key_sources import KeySource
from stellarrow.security.permissions import ROLES, permissions_of
from stellarrow.security.principal import Call, CredentialExpired, Principal
from stellarrow.security.tickets import PREFIX as TICKET

with needing("tokens (JWT)", "servers"):
    from joserfc import jwt
    from joserfc.errors import ExpiredTokenError, JoseError, SecurityWarning

# RFC 9864 gives it another name, by which few issuers call it yet.
warnings.filterwarnings("ignore", "EdDSA is deprecated", SecurityWarning)
_LARGEST: Final = 8 << 10
_CACHED: Final = 1_024  # tokens that were found good
_NAME_LENGTH: Final = 128
_OF_AN_API: Final = ("JWT", "AT+JWT", "APPLICATION/AT+JWT")  # `typ`; others are for other uses


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPolicy:
    """Which tokens are good: whose, for whom, signed how, and where they name roles."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    roles_claim: str = "roles"
    leeway: float = 30.0


class JwtAuthenticator:
    """Verifies a token once, and remembers it until it expires or its key is withdrawn."""

    kind = "jwt"

    def __init__(self, keys: KeySource, policy: TokenPolicy) -> None:
        self._keys = keys
        self._policy = policy
        self._lock = threading.Lock()
        self._good: OrderedDict[bytes, Principal] = OrderedDict()
        self._claims = jwt.JWTClaimsRegistry(
            leeway=round(policy.leeway),
            iss={"essential": True, "value": policy.issuer},
            aud={"essential": True, "value": policy.audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    def __call__(self, call: Call, /) -> Principal | None:
        """Return the subject of a token; None where no token is shown."""
        token = call.token
        if not _is_token(token):
            return None
        digest = hashlib.sha256(token.encode()).digest()
        principal = self._remembered(digest)
        if principal is None or not principal.is_valid():
            principal = self._verified(token)
            self._remember(digest, principal)
        return principal

    def may_wait(self, call: Call, /) -> bool:
        token = call.token
        return _is_token(token) and self._remembered(hashlib.sha256(token.encode()).digest()) is None

    def _remembered(self, digest: bytes) -> Principal | None:
        with self._lock:
            return self._good.get(digest)

    def _remember(self, digest: bytes, principal: Principal) -> None:
        with self._lock:
            self._good[digest] = principal
            self._good.move_to_end(digest)
            if len(self._good) > _CACHED:
                self._good.popitem(last=False)

    def _verified(self, token: str) -> Principal:
        used: list[str | None] = []

        def key_of(signed: Any) -> Any:
            header = signed.headers()
            typ = header.get("typ", "JWT")
            if not isinstance(typ, str) or typ.upper() not in _OF_AN_API:
                raise Unauthenticated("the token is of a type that is not for this")
            kid = header.get("kid")
            if header.get("alg") not in self._policy.algorithms or not isinstance(kid, str | None):
                raise Unauthenticated("the token is signed in a way that is not accepted")
            used.append(kid)
            return self._keys.key(kid)

        try:
            if len(token) > _LARGEST:
                raise Unauthenticated("the token is too large")
            read = jwt.decode(token, key_of, algorithms=list(self._policy.algorithms))
            self._claims.validate(read.claims)
        except ExpiredTokenError as error:
            raise CredentialExpired("the token has expired: get a new one from its issuer") from error
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise Unauthenticated(f"the token is not accepted ({_reason(error)})") from error
        return self._principal(read.claims, used[0])

    def _principal(self, claims: dict[str, Any], kid: str | None) -> Principal:
        roles = tuple(role for role in _roles(claims, self._policy.roles_claim) if role in ROLES)
        expires = float(claims["exp"]) + self._policy.leeway
        name = "".join(one for one in str(claims["sub"]) if one.isprintable())[:_NAME_LENGTH]
        return Principal(name, self.kind, roles, permissions_of(roles), expires, lambda: self._keys.has(kid))


def _is_token(text: str) -> bool:
    return bool(text) and not text.startswith((PREFIX, TICKET)) and text.count(".") >= 2


def _roles(claims: dict[str, Any], path: str) -> Sequence[str]:
    """Return what a claim says, also one inside of others as realm_access.roles; a text may hold several."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    if isinstance(found, str):
        return found.split()
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _reason(error: Exception) -> str:
    """Return what is wrong in the library's words, without what the token says."""
    return str(error.error) if isinstance(error, JoseError) else "malformed"
