"""Clusters as words: `kafka://USER:PASSWORD@HOST:9092,HOST:9092/?topic_prefix=stellar.`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from stellarrow.core.tables import is_typed
from stellarrow.core.typed_names import short_name
from stellarrow.errors import ConfigError, joined, nearest
from stellarrow.net.redaction import redacted_url
from stellarrow.sinks.transactional.addresses import hosts_of, number_of, options_of, secret_of
from stellarrow.sinks.transactional.ledger_messages import Encoding, Key
from stellarrow.storage.given_files import readable_file, text_of

OPTIONS: Final[Mapping[str, str]] = {
    "topic_prefix": "what names of topics begin with, stellarrow. by default",
    "format": "what a message holds: arrow, a ledger's rows as an Arrow IPC stream, or json, one row",
    "key": "what messages are keyed by: ledger or contract",
    "partitions": "how many partitions a topic is made with, 1 by default",
    "tls": "yes for TLS",
    "ca": "a file of CA certificates to trust instead of the system's",
    "certificate": "a file with our certificate, for TLS of both sides",
    "private_key": "a file with the key of our certificate",
    "sasl": "how the user logs in: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512",
    "settings": "a file of librdkafka's own settings, name=value lines",
}
_DEFAULT_PREFIX: Final = "stellarrow."
_FORM: Final = "write kafka://HOST:9092/?topic_prefix=stellar."
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_WORDS: Final = {"format": ("arrow", "json"), "key": ("ledger", "contract"), "tls": ("yes", "no")}
_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]{1,150}")
_FILES: Final = {
    "ca": "ssl.ca.location",
    "certificate": "ssl.certificate.location",
    "private_key": "ssl.key.location",
}
# What the guarantee rests on; the sink sets it itself.
_OURS: Final = frozenset(
    (
        *("transactional.id", "enable.idempotence", "isolation.level", "acks", "request.required.acks"),
        *("bootstrap.servers", "metadata.broker.list", "enable.auto.commit", "group.id", "group.instance.id"),
        *("enable.partition.eof", "auto.offset.reset", "message.max.bytes", "partitioner"),
    )
)


@dataclass(frozen=True, slots=True)
class Address:
    """A cluster, the topics in it, and how messages are made; `client` holds secrets."""

    brokers: str
    prefix: str = _DEFAULT_PREFIX
    encoding: Encoding = "arrow"
    key: Key = "ledger"
    partitions: int = 1
    client: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return f"Kafka at {self.brokers}"

    @property
    def coverage(self) -> str:
        """The topic that says which ledgers are there."""
        return f"{self.prefix}coverage"

    @property
    def transactional_id(self) -> str:
        """What writers of these topics share: of those that have it, one at a time can commit."""
        return f"stellarrow-{self.prefix}"

    def topic(self, table: str) -> str:
        """Return the topic of a table; names of contracts' own ones have what no topic's may."""
        return f"{self.prefix}typed.{short_name(table)}" if is_typed(table) else f"{self.prefix}{table}"

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read a URL; user and password may be in KAFKA_USERNAME, KAFKA_PASSWORD or KAFKA_PASSWORD_FILE."""
        scheme, _, rest = url.partition(":")
        place, _, query = rest.removeprefix("//").partition("?")
        login, _, brokers = place.rpartition("@")
        options = options_of(url, query, OPTIONS, _WORDS)
        if scheme != "kafka" or not rest.startswith("//"):
            raise ConfigError(f"{redacted_url(url)!r} names no broker: {_FORM}")
        partitions = number_of(url, options, "partitions", most=10_000, example=6)
        prefix = options.get("topic_prefix", _DEFAULT_PREFIX)
        if not _PREFIX.fullmatch(prefix):
            raise ConfigError(
                f"the topic_prefix {prefix!r} cannot begin a topic's name: write up to 150 letters, digits,"
                " dots, dashes and underscores, such as topic_prefix=stellar."
            )
        user, _, password = login.partition(":")
        if (found := hosts_of(brokers, 9092)) is None:
            raise ConfigError(f"{redacted_url(url)!r} names no broker: {_FORM}")
        return cls(
            ",".join(found),
            prefix,
            "json" if options.get("format") == "json" else "arrow",
            "contract" if options.get("key") == "contract" else "ledger",
            partitions,
            _client(unquote(user), unquote(password), options),
        )


def _client(user: str, password: str, options: Mapping[str, str]) -> dict[str, str]:
    """Return the settings by which clients connect."""
    made = _settings_file(options["settings"]) if "settings" in options else {}
    for name, setting in _FILES.items():
        if name in options:
            made[setting] = str(readable_file(options[name], name))
    tls = options.get("tls") == "yes" or any(name in options for name in _FILES)
    user = user or os.environ.get("KAFKA_USERNAME", "")
    if user:
        mechanism = options.get("sasl", "PLAIN" if tls else "SCRAM-SHA-512")
        if mechanism not in _MECHANISMS:
            remedy = nearest(mechanism.upper(), _MECHANISMS, f"choose among {', '.join(_MECHANISMS)}")
            said = joined(f"sasl cannot be {mechanism[:40]!r}: {remedy}", "for others name a settings file")
            raise ConfigError(said)
        made |= {
            "sasl.mechanism": mechanism,
            "sasl.username": user,
            "sasl.password": password or _password(),
        }
    elif "sasl" in options:
        raise ConfigError("sasl is how a user logs in: name one before the host, or in KAFKA_USERNAME")
    if user or tls:
        made["security.protocol"] = f"{'sasl_' if user else ''}{'ssl' if tls else 'plaintext'}"
    return made


def _password() -> str:
    if password := secret_of("KAFKA_PASSWORD"):
        return password
    raise ConfigError("the Kafka user has no password: set KAFKA_PASSWORD or KAFKA_PASSWORD_FILE")


def _settings_file(name: str) -> dict[str, str]:
    made = {}
    path = readable_file(name, "settings")
    for number, line in enumerate(text_of(path).splitlines(), 1):
        text = line.strip()
        setting, equals, value = (part.strip() for part in text.partition("="))
        if not text or text.startswith(("#", "!")):
            continue
        if not equals:
            raise ConfigError(f"{path}, line {number}, is no setting: write name=value")
        if setting in _OURS:
            raise ConfigError(f"{path}, line {number}: stellarrow sets {setting} itself, take it out")
        made[setting] = value
    return made
