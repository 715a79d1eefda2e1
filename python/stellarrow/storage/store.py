"""What a folder and an object store must both do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from stellarrow.net.credentials import NO_CREDENTIALS, ClientCredentials, SourceAccess


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """How a store is reached: `endpoint` is the URL of an S3-compatible one, `timeout` seconds a request.

    `credentials` are for web addresses. `instance_credentials` allows asking the metadata service of the
    machine for credentials; None means what INSTANCE_CREDENTIALS in the environment says.
    """

    endpoint: str | None = None
    timeout: float = 60.0
    credentials: ClientCredentials = NO_CREDENTIALS
    instance_credentials: bool | None = None

    @property
    def asks_the_machine(self) -> bool:
        if self.instance_credentials is None:
            return SourceAccess.of_environment().instance_credentials
        return self.instance_credentials


class Store(Protocol):
    """Objects under keys; any thread may call. What fails is a SourceError or SinkError in one sentence.

    Nothing is tried again here: what may work later is raised as Unavailable.
    """

    where: str  # for people
    lists: bool  # whether it can tell which keys there are
    doubt: str  # for people: why what it calls missing may be there; empty where it is sure

    def get(self, key: str) -> bytes | None:
        """Return an object, None where there is none."""

    def page(self, prefix: str = "", *, after: str = "") -> list[tuple[str, int]]:
        """Return the first keys below a folder (empty, or ending in a slash), with their sizes.

        They come in the order of their bytes, from the first one beyond `after`; an empty page is the end.
        """

    def folders(self) -> list[str]:
        """Return the names of the folders at the top, in the order of their bytes."""

    def metadata(self, key: str) -> dict[str, str]:
        """Return what is told about an object beside its bytes; nothing where there is none."""

    def put(self, key: str, data: bytes, metadata: Mapping[str, str]) -> bool:
        """Keep an object whole or not at all, unless there is one already: then return False."""
