"""Which format and which content coding an answer has, by the request's headers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from stellarrow.errors import StellarrowError
from stellarrow.servers.analytics_http.writing import CODINGS, MEDIA_TYPES

_NAMES: Final = {kind.partition(";")[0]: name for name, kind in MEDIA_TYPES.items()}
_OTHER_NAMES: Final = {
    "application/jsonl": "ndjson",
    "application/x-jsonlines": "ndjson",
    "application/x-parquet": "parquet",
}


class NotAcceptable(StellarrowError):
    """None of the formats that a request accepts is there."""


def format_of(accept: str, known: Sequence[str]) -> str:
    """Return the format that the header Accept likes best; the first where it likes all alike."""
    best: str | None = None
    liked = 0.0
    for name, quality in _weighted(accept or "*/*"):
        found = _NAMES.get(name) or _OTHER_NAMES.get(name)
        if name in ("*/*", "application/*") or (name == "text/*" and "csv" in known):
            found = known[0] if name != "text/*" else "csv"
        if found in known and quality > liked:
            best, liked = found, quality
    if not best:
        kinds = ", ".join(MEDIA_TYPES[one].partition(";")[0] for one in known)
        raise NotAcceptable(f"Accept names nothing that is here: ask for {kinds}")
    return best


def coding_of(accepted: str) -> str | None:
    """Return the content coding that the header Accept-Encoding likes best, None for none."""
    qualities = dict(_weighted(accepted))
    anything = qualities.get("*", 0.0)
    ranked = [(qualities.get(one, anything), one) for one in CODINGS]
    quality, best = max(ranked, key=lambda one: one[0])
    return best if quality > 0 and quality >= qualities.get("identity", 0.0) else None


def _weighted(header: str) -> Iterator[tuple[str, float]]:
    for part in header.lower().split(","):
        name, *rest = (one.strip() for one in part.split(";"))
        quality = 1.0
        for one in rest:
            if one.startswith("q="):
                try:
                    quality = float(one[2:])
                except ValueError:
                    quality = 0.0
        if name:
            yield name, quality
