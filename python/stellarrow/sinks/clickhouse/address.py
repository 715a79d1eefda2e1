"""Databases as words: `clickhouse://USER:PASSWORD@HOST:8123/DATABASE`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from stellarrow.errors import ConfigError
from stellarrow.net.redaction import redacted_url
from stellarrow.sinks.transactional.addresses import options_of, secret_of
from stellarrow.storage.given_files import readable_file

OPTIONS: Final[Mapping[str, str]] = {
    "partition_ledgers": "how many ledgers a partition of a new table has, 1000000 by default",
    "tls": "yes for TLS",
    "ca": "a file of CA certificates to trust instead of the system's",
    "certificate": "a file with our certificate, for TLS of both sides",
    "private_key": "a file with the key of our certificate",
}
DEFAULT_DATABASE: Final = "stellar"
_PARTITION_LEDGERS: Final = 1_000_000  # about sixty of them hold all of pubnet
_FORM: Final = "write clickhouse://HOST:8123/DATABASE"
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]\s/@]+)(?::(\d{1,5}))?")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,100}")
_FILES: Final = {"ca": "ca_cert", "certificate": "client_cert", "private_key": "client_cert_key"}


@dataclass(frozen=True, slots=True)
class Address:
    """A database on a server of ClickHouse's HTTP interface; `client` holds secrets."""

    host: str
    port: int
    database: str = DEFAULT_DATABASE
    partition_ledgers: int = _PARTITION_LEDGERS
    client: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return f"ClickHouse {self.database!r} at {self.host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read a URL; the user may be in CLICKHOUSE_USER, the password in CLICKHOUSE_PASSWORD(_FILE)."""
        scheme, _, rest = url.partition(":")
        place, _, query = rest.removeprefix("//").partition("?")
        login, _, location = place.rpartition("@")
        server, _, database = location.partition("/")
        match = _HOST.fullmatch(server)
        if scheme != "clickhouse" or not rest.startswith("//") or not match or int(match[2] or 0) > 65_535:
            raise ConfigError(f"{redacted_url(url)!r} names no server: {_FORM}")
        database = unquote(database.rstrip("/")) or DEFAULT_DATABASE
        if not _NAME.fullmatch(database):
            raise ConfigError(
                f"the database {database[:60]!r} cannot be named so: write letters, digits and underscores,"
                " such as /stellar"
            )
        options = options_of(url, query, OPTIONS, {"tls": ("yes", "no")})
        count = options.get("partition_ledgers", str(_PARTITION_LEDGERS))
        if not count.isdecimal() or not 0 < int(count) < 2**32:
            raise ConfigError(
                f"{redacted_url(url)!r}: partition_ledgers is a number of ledgers, such as"
                " partition_ledgers=1000000"
            )
        tls = options.get("tls") == "yes" or any(name in options for name in _FILES)
        user, _, password = login.partition(":")
        return cls(
            match[1].strip("[]"),
            int(match[2] or (8443 if tls else 8123)),
            database,
            int(count),
            _client(unquote(user), unquote(password), options, tls=tls),
        )


def _client(user: str, password: str, options: Mapping[str, str], *, tls: bool) -> dict[str, str]:
    """Return the choices by which the client connects."""
    made = {
        "username": user or os.environ.get("CLICKHOUSE_USER") or "default",
        "password": password or secret_of("CLICKHOUSE_PASSWORD") or "",
        "interface": "https" if tls else "http",
    }
    for name, choice in _FILES.items():
        if name in options:
            made[choice] = str(readable_file(options[name], name))
    if ("certificate" in options) != ("private_key" in options):
        raise ConfigError("certificate and private_key belong together: name both files, or neither")
    return made
