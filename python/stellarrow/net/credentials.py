"""What a client shows a server so that it is let in; one value for every kind of client."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from stellarrow.errors import ConfigError
from stellarrow.net.client_tls import NO_TLS, ClientTls
from stellarrow.net.redaction import MASK
from stellarrow.storage.paths import local_path

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~\-]+")
_WRITTEN: Final = re.compile(
    r"(?:(?P<host>[^\s:/]+|\[[^\]]+\]) +)?(?P<name>[^\s:]+): *(?P<value>.*)", re.DOTALL
)
_BETWEEN: Final = re.compile(r"\n|,\s*(?=(?:[^\s:,]+ )?[A-Za-z0-9\-_]+:\s)")
_YES: Final = ("true", "t", "1", "yes", "on")
_PLAIN: Final = re.compile(r"[\t\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Header:
    """A header of a request, for every server or for those of one host alone."""

    name: str
    value: str = field(repr=False)
    host: str | None = None

    @classmethod
    def parse(cls, text: str) -> Header:
        """Read `Name: value`, or `HOST Name: value`; the error does not repeat what may be a secret."""
        match = _WRITTEN.fullmatch(text.strip())
        if not match or not _NAME.fullmatch(match["name"]) or not _PLAIN.fullmatch(match["value"]):
            raise ConfigError(
                "a header is not written as 'Name: value' or 'HOST Name: value', in one line of ASCII"
            )
        return cls(
            match["name"],
            match["value"].strip(),
            match["host"].strip("[]").lower() if match["host"] else None,
        )

    def __str__(self) -> str:
        return f"{f'{self.host} ' if self.host else ''}{self.name}: {MASK}"


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Headers and a bearer token for servers, neither of which is ever shown, and how TLS is spoken."""

    headers: tuple[Header, ...] = ()
    token: str | None = field(default=None, repr=False)
    tls: ClientTls = NO_TLS

    @classmethod
    def of(
        cls,
        headers: Iterable[str] | Mapping[str, str] = (),
        token: str | None = None,
        tls: ClientTls = NO_TLS,
    ) -> ClientCredentials:
        """Make them of headers as people write them, or by name."""
        written = (
            [f"{name}: {value}" for name, value in headers.items()]
            if isinstance(headers, Mapping)
            else headers
        )
        if token is not None and not (token and _PLAIN.fullmatch(token)):
            raise ConfigError("the token is empty or not plain ASCII: give it as the server issued it")
        return cls(tuple(map(Header.parse, written)), token, tls)

    def headers_for(self, host: str | None) -> dict[str, str]:
        """Return the headers that a request to a host carries."""
        answer = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        wanted = (host or "").strip("[]").lower()
        for header in self.headers:
            if header.host in (None, wanted):
                # One given by hand replaces the token's, whatever its letters.
                answer = {
                    name: value for name, value in answer.items() if name.lower() != header.name.lower()
                }
                answer[header.name] = header.value
        return answer

    def metadata_for(self, host: str | None) -> tuple[tuple[str, str], ...]:
        """Return the headers as gRPC wants them: names in small letters."""
        return tuple((name.lower(), value) for name, value in self.headers_for(host).items())


NO_CREDENTIALS: Final = ClientCredentials()


def split_headers(text: str) -> tuple[str, ...]:
    """Split several headers in one text: at the end of a line, and at a comma that a new header follows."""
    return tuple(part.strip() for part in _BETWEEN.split(text) if part.strip())


@dataclass(frozen=True, slots=True)
class SourceAccess:
    """How sources are let in: RPC nodes by one, gRPC services and web lakes by the other.

    `instance_credentials` allows stores to ask the metadata service of the machine for credentials.
    """

    rpc: ClientCredentials = NO_CREDENTIALS
    source: ClientCredentials = NO_CREDENTIALS
    instance_credentials: bool = False

    @classmethod
    def of_environment(cls, environ: Mapping[str, str] | None = None) -> SourceAccess:
        """Read RPC_… and SOURCE_…: HEADERS, TOKEN, CA, CERTIFICATE and KEY, and INSTANCE_CREDENTIALS."""
        environ = os.environ if environ is None else environ

        def credentials(kind: str) -> ClientCredentials:
            token = environ.get(f"{kind}_TOKEN") or None
            files = (environ.get(f"{kind}_{name}") for name in ("CA", "CERTIFICATE", "KEY"))
            tls = ClientTls(*(local_path(name) if name else None for name in files))
            return ClientCredentials.of(split_headers(environ.get(f"{kind}_HEADERS", "")), token, tls)

        asks = environ.get("INSTANCE_CREDENTIALS", "").strip().lower() in _YES
        return cls(credentials("RPC"), credentials("SOURCE"), asks)
