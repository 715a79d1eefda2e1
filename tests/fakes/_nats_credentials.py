"""An operator, an account and a user of NATS, as nsc makes them: JWTs and the user's file."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from typing import Any, Final

import nkeys

_LIMITS: Final = (
    *("subs", "data", "payload", "imports", "exports", "conn", "leaf"),
    *("mem_storage", "disk_storage", "streams", "consumer"),
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Settings of a server that trusts the operator, and the text of the user's file."""

    settings: str
    user: str


def credentials() -> Credentials:
    account_byte = nkeys.PREFIX_BYTE_ACCOUNT
    operator, user = _pair(nkeys.PREFIX_BYTE_OPERATOR), _pair(nkeys.PREFIX_BYTE_USER)
    account, system = _pair(account_byte), _pair(account_byte)
    without_streams = {**dict.fromkeys(_LIMITS[:7], -1), "wildcards": True}
    limits = {**dict.fromkeys(_LIMITS, -1), "wildcards": True}
    names = {one: one.public_key.decode() for one in (account, system)}
    told = {"type": "operator", "system_account": names[system]}
    of_operator = _signed(operator, operator, told)
    of_account = _signed(operator, account, {"type": "account", "limits": limits})
    of_system = _signed(operator, system, {"type": "account", "limits": without_streams})
    of_user = _signed(account, user, {"type": "user", "subs": -1, "data": -1, "payload": -1})
    settings = (
        f"operator: {of_operator}\nresolver: MEMORY\n"
        f"resolver_preload: {{ {names[account]}: {of_account}, {names[system]}: {of_system} }}\n"
    )
    text = (
        f"-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
    )
    return Credentials(settings, text)


def _pair(prefix: int) -> Any:
    return nkeys.from_seed(bytearray(nkeys.encode_seed(os.urandom(32), prefix)))


def _signed(issuer: Any, subject: Any, told: dict[str, Any]) -> str:
    claims = {
        "jti": os.urandom(8).hex(),
        "iat": 1_700_000_000,
        "iss": issuer.public_key.decode(),
        "sub": subject.public_key.decode(),
        "name": told["type"],
        "nats": {**told, "version": 2},
    }
    signed = ".".join(_text(json.dumps(one)) for one in ({"typ": "JWT", "alg": "ed25519-nkey"}, claims))
    return f"{signed}.{_text(issuer.sign(signed.encode()))}"


def _text(value: str | bytes) -> str:
    data = value.encode() if isinstance(value, str) else value
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
