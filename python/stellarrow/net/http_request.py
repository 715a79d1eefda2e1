"""One small request over HTTP with the standard library alone: bounded, through the proxy, by our name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from stellarrow.net.credentials import NO_CREDENTIALS, ClientCredentials
from stellarrow.net.identity import USER_AGENT
from stellarrow.net.proxies import host_of, proxy_for

_LARGEST: Final = 16 << 20  # bytes of a body


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """Return a header, however its name is spelled."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), None)


def ask(method: str, url: str, *, timeout: float, credentials: ClientCredentials = NO_CREDENTIALS) -> Answer:
    """Return the answer, whatever its status; OSError or HTTPException where there is none."""
    proxy = proxy_for(url)
    way = ProxyHandler({"http": proxy.url, "https": proxy.url} if proxy else {})
    tls = [HTTPSHandler(context=credentials.tls.context())] if credentials.tls.is_set else []
    opener = build_opener(way, _NoRedirect, *tls)
    opener.addheaders = [("User-Agent", USER_AGENT), *credentials.headers_for(host_of(url)).items()]
    request = Request(url, method=method)  # noqa: S310  the schemes are those of our own callers
    try:
        with opener.open(request, timeout=timeout) as answer:
            body = answer.read(_LARGEST + 1)
            if len(body) > _LARGEST:
                raise OSError(f"the answer has more than {_LARGEST:,} bytes")
            return Answer(answer.status, dict(answer.headers.items()), body)
    except HTTPError as error:
        return Answer(error.code, dict(error.headers.items()), b"")


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow nowhere: what is asked for is the answer itself."""
