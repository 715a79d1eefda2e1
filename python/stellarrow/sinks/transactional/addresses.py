"""What addresses of servers have in common: hosts, options behind a question mark, secrets beside the URL."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from stellarrow.errors import ConfigError, nearest
from stellarrow.net.redaction import redacted_url
from stellarrow.storage.given_files import readable_file, text_of

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]\s/@]+)(?::(\d{1,5}))?")


def options_of(
    url: str, query: str, known: Mapping[str, str], words: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Return the options of a URL; `words` has what some of them may be."""
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            remedy = nearest(name, known, f"choose among {', '.join(known)}")
            raise ConfigError(f"{redacted_url(url)!r} has an unknown option {name!r}: {remedy}")
        if value not in (allowed := words.get(name, (value,))):
            remedy = nearest(value, allowed, f"choose among {', '.join(allowed)}")
            raise ConfigError(f"{redacted_url(url)!r}: {name} cannot be {value[:40]!r}: {remedy}")
        options[name] = value
    return options


def number_of(url: str, options: Mapping[str, str], name: str, *, most: int, example: int) -> int:
    """Return an option that is a number, 1 where it is not given."""
    value = options.get(name, "1")
    if not value.isdecimal() or not 0 < int(value) <= most:
        raise ConfigError(f"{redacted_url(url)!r}: {name} is a number, such as {name}={example}")
    return int(value)


def hosts_of(text: str, port: int) -> list[str] | None:
    """Return hosts with their ports of a list with commas; None where one is none."""
    found = []
    for one in text.rstrip("/").split(","):
        match = _HOST.fullmatch(one)
        if not match or int(match[2] or 0) > 65_535:
            return None
        found.append(f"{match[1]}:{match[2] or port}")
    return found


def secret_of(variable: str) -> str | None:
    """Return what a variable holds, or the file that VARIABLE_FILE names."""
    if file := os.environ.get(f"{variable}_FILE"):
        return text_of(readable_file(file, f"{variable}_FILE")).strip()
    return os.environ.get(variable) or None
