"""What a run chooses of how rows are kept; the end of a URL may say it, too: `?mode=live&profile=lean`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stellarrow.errors import ConfigError, nearest
from stellarrow.filter import Filter

MODES: Final = ("auto", "live", "backfill")
PROFILES: Final = ("full", "lean")
_OURS: Final = ("mode", "profile")


def split(url: str) -> tuple[str, dict[str, str]]:
    """Split off the URL what is ours, not libpq's."""
    head, question, query = url.partition("?")
    theirs, ours = [], {}
    for part in query.split("&") if question else []:
        name, equals, value = part.partition("=")
        if equals and name in _OURS:
            ours[name] = value
        else:
            theirs.append(part)
    rest = "&".join(theirs)
    return head + ("?" + rest if rest else ""), ours


def chosen(url: str, mode: str | None, profile: str | None) -> tuple[str, str, str | None]:
    """Return libpq's URL, the mode, and the profile where one is asked for; arguments go before the URL."""
    url, asked = split(url)
    return url, mode or asked.get("mode") or "auto", profile or asked.get("profile")


def check(mode: str, profile: str | None, tables: Sequence[str], where: Filter | None, *counts: int) -> None:
    """Refuse what cannot be chosen."""
    if where and where.select:
        raise ConfigError(
            "PostgreSQL's tables have all columns: leave select out, or write to parquet:FOLDER"
        )
    _choose("mode", mode, MODES)
    _choose("profile", PROFILES[0] if profile is None else profile, PROFILES)
    if min(counts) < 1:
        raise ConfigError("batch_rows, partition_ledgers and writers must be at least 1")
    if not tables:
        raise ConfigError("the PostgreSQL sink has no table: name at least one")


def _choose(what: str, chosen: str, known: Sequence[str]) -> None:
    if chosen not in known:
        remedy = nearest(chosen.lower(), known, f"choose among {', '.join(known)}")
        raise ConfigError(f"the {what} {chosen!r} is not known: {remedy}")
