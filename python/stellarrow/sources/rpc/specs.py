"""What an RPC node knows of contracts now: which code they run, since when at least, and the code."""

from __future__ import annotations

import base64
from contextlib import closing
from typing import Any, Final

from stellarrow.errors import SourceError
from stellarrow.net.credentials import NO_CREDENTIALS, ClientCredentials
from stellarrow.sources.rpc.connection import Connection
from stellarrow.sources.spec_entries import SpecEntries

_TIMEOUT: Final = 30.0
_METHOD: Final = "getLedgerEntries"


class SpecNode(SpecEntries):
    """A node that is asked for contracts' code."""

    remedy = "ask another node"

    def __init__(self, url: str, credentials: ClientCredentials = NO_CREDENTIALS) -> None:
        address = url.removeprefix("rpc+")
        self._connection = Connection(address, timeout=_TIMEOUT, credentials=credentials)
        self.name = self._connection.name

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def entry(self, key: bytes) -> tuple[bytes, int] | None:
        """Ask for one entry."""
        asked = {"keys": [base64.b64encode(key).decode()]}
        answer, _ = self._connection.call(_METHOD, asked)
        entries: Any = answer.get("entries") or []
        try:
            for entry in entries:
                return base64.b64decode(entry["xdr"], validate=True), int(entry["lastModifiedLedgerSeq"])
        except (KeyError, TypeError, ValueError) as error:
            raise SourceError(f"{self._connection.name} answered {_METHOD} with what is no entry") from error
        return None


def open_node(url: str, credentials: ClientCredentials = NO_CREDENTIALS) -> closing[SpecNode]:
    """Ask a node, and hang up at the end."""
    return closing(SpecNode(url, credentials))
