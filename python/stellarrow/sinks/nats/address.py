"""Streams as words: `nats://USER:PASSWORD@HOST:4222,HOST:4222/?stream=stellar&subject_prefix=stellar`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from stellarrow.errors import ConfigError
from stellarrow.net.redaction import redacted_url
from stellarrow.sinks.transactional.addresses import hosts_of, number_of, options_of, secret_of
from stellarrow.sinks.transactional.ledger_messages import Encoding, Key
from stellarrow.storage.given_files import readable_file, text_of

OPTIONS: Final[Mapping[str, str]] = {
    "stream": "the stream's name, stellarrow by default",
    "subject_prefix": "what subjects begin with, the stream's name by default",
    "format": "what a message holds: arrow, a ledger's rows as an Arrow IPC stream, or json, a line a row",
    "key": "what messages are apart by: ledger, or contract, which subjects end in then",
    "replicas": "how many servers keep a stream that is made, 1 by default",
    "tls": "yes for TLS, as tls:// says too",
    "ca": "a file of CA certificates to trust instead of the system's",
    "certificate": "a file with our certificate, for TLS of both sides",
    "private_key": "a file with the key of our certificate",
    "credentials": "a file with a user's JWT and key, as nsc makes them (.creds)",
    "inbox_prefix": "what subjects of answers begin with, _INBOX by default",
}
_DEFAULT: Final = "stellarrow"
_FORM: Final = "write nats://HOST:4222/?stream=stellar"
_WORDS: Final = {"format": ("arrow", "json"), "key": ("ledger", "contract"), "tls": ("yes", "no")}
_STREAM: Final = re.compile(r"[A-Za-z0-9_-]{1,150}")
_PREFIX: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_TLS_FILES: Final = ("ca", "certificate", "private_key")


@dataclass(frozen=True, slots=True)
class Login:
    """How a user logs in, and by which TLS: all of it secret, or the name of a file."""

    user: str = ""
    password: str = ""
    token: str = ""
    credentials: Path | None = None
    tls: bool = False
    files: Mapping[str, Path] = field(default_factory=dict)  # of TLS, by the option's name


@dataclass(frozen=True, slots=True)
class Address:
    """A stream on servers, the subjects in it, and how messages are made."""

    servers: tuple[str, ...]  # HOST:PORT
    stream: str = _DEFAULT
    prefix: str = _DEFAULT
    encoding: Encoding = "arrow"
    key: Key = "ledger"
    replicas: int = 1
    inbox: str = "_INBOX"
    login: Login = field(default_factory=Login, repr=False)

    def __str__(self) -> str:
        return f"NATS at {','.join(self.servers)}"

    @property
    def coverage(self) -> str:
        """What subjects begin with whose messages say which ledgers are there."""
        return f"{self.prefix}.coverage"

    def subject(self, table: str) -> str:
        """Return the subject of a table's messages, or what it begins with."""
        return f"{self.prefix}.{table}"

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read a URL; what logs a user in may be in the environment, as NATS_PASSWORD_FILE."""
        scheme, _, rest = url.partition(":")
        place, _, query = rest.removeprefix("//").partition("?")
        login, _, servers = place.rpartition("@")
        options = options_of(url, query, OPTIONS, _WORDS)
        found = hosts_of(servers, 4222)
        if scheme not in ("nats", "tls") or not rest.startswith("//") or found is None:
            raise ConfigError(f"{redacted_url(url)!r} names no server: {_FORM}")
        if "@" in login and "," in login:
            raise ConfigError(
                f"{redacted_url(url)!r} has a login for each server: write one for all, as"
                " nats://USER:PASSWORD@HOST,HOST, and a @ within a password as %40"
            )
        stream = options.get("stream", _DEFAULT)
        if not _STREAM.fullmatch(stream):
            raise ConfigError(
                f"a stream cannot be named {stream[:60]!r}: write up to 150 letters, digits, dashes and"
                " underscores, such as stream=stellar"
            )
        return cls(
            tuple(found),
            stream,
            _subject(options, "subject_prefix", stream),
            "json" if options.get("format") == "json" else "arrow",
            "contract" if options.get("key") == "contract" else "ledger",
            number_of(url, options, "replicas", most=5, example=3),
            _subject(options, "inbox_prefix", "_INBOX"),
            _login(login, options, tls=scheme == "tls" or options.get("tls") == "yes"),
        )


def _subject(options: Mapping[str, str], name: str, default: str) -> str:
    value = options.get(name, default)
    if len(value) > 150 or not _PREFIX.fullmatch(value):
        raise ConfigError(
            f"the {name} {value[:60]!r} cannot begin a subject: write letters, digits, dashes and"
            f" underscores, with dots between them, such as {name}=stellar"
        )
    return value


def _login(login: str, options: Mapping[str, str], *, tls: bool) -> Login:
    """Return how we log in: what the URL says, a file of credentials, or what the environment says."""
    user, colon, password = (unquote(part) for part in login.partition(":"))
    files = {name: readable_file(options[name], name) for name in _TLS_FILES if name in options}
    if ("certificate" in files) != ("private_key" in files):
        raise ConfigError("certificate and private_key belong together: name both files, or neither")
    named = options.get("credentials") or ("" if login else os.environ.get("NATS_CREDS", ""))
    credentials = _credentials(named) if named else None
    made = Login(credentials=credentials, tls=tls or bool(files), files=files)
    if named:
        if login:
            raise ConfigError("a user and a credentials file are two ways to log in: name one of them")
        return made
    if (
        user
        and not colon
        and not os.environ.get("NATS_PASSWORD")
        and not os.environ.get("NATS_PASSWORD_FILE")
    ):
        return _with(made, token=user)
    if user := user or os.environ.get("NATS_USER", ""):
        if not (password := password or secret_of("NATS_PASSWORD") or ""):
            raise ConfigError("the NATS user has no password: set NATS_PASSWORD or NATS_PASSWORD_FILE")
        return _with(made, user=user, password=password)
    return _with(made, token=secret_of("NATS_TOKEN") or "")


def _credentials(name: str) -> Path:
    path = readable_file(name, "credentials")
    text = text_of(path)
    if "BEGIN NATS USER JWT" not in text or "BEGIN USER NKEY SEED" not in text:
        raise ConfigError(f"credentials {path} holds no JWT and key of a user: name a file as nsc makes it")
    return path


def _with(made: Login, *, user: str = "", password: str = "", token: str = "") -> Login:
    return Login(user, password, token, made.credentials, made.tls, made.files)
