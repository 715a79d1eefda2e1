"""When a ledger closed, read from its header without decoding the ledger."""

from __future__ import annotations

import struct
from typing import Final

from stellarrow.errors import DecodeError

# LedgerHeaderHistoryEntry up to closeTime (Stellar-ledger.x): hash, version, previous hash, txSetHash.
_BEFORE_CLOSE_TIME: Final = 32 + 4 + 32 + 32
_EXT_V1: Final = 4 + 8  # LedgerCloseMetaExtV1: an ExtensionPoint and an int64


def close_time(ledger: bytes, *, place: str = "the ledger") -> int:
    """Return the second since 1970 at which a LedgerCloseMeta's ledger closed; nothing is verified."""
    try:
        version, extension = struct.unpack_from(">ii", ledger)
        if version not in (0, 1, 2) or (version and extension not in (0, 1)):
            raise DecodeError(f"{place} is no ledger this version knows (LedgerCloseMeta {version})")
        header = 4 if version == 0 else 8 + (_EXT_V1 if extension else 0)
        (closed,) = struct.unpack_from(">Q", ledger, header + _BEFORE_CLOSE_TIME)
    except struct.error as error:
        raise DecodeError(f"{place} ends within its header: fetch it again") from error
    return int(closed)
