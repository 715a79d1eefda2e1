"""Strkeys (SEP-23) of 32 bytes: what people write for contracts and accounts."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Final

CONTRACT: Final = 2 << 3  # version bytes: the first letter is C
ACCOUNT: Final = 6 << 3  # G


def decode(strkey: str, version: int) -> bytes:
    """Return the key; ValueError where it is of another kind, or mistyped."""
    raw = base64.b32decode(strkey)
    if len(raw) != 35 or raw[0] != version or raw[33:] != _checksum(raw[:33]):
        raise ValueError(f"{strkey} is no strkey of that kind")
    return raw[1:33]


def encode(key: bytes, version: int) -> str:
    """Return the strkey of 32 bytes."""
    raw = bytes([version]) + key
    return base64.b32encode(raw + _checksum(raw)).decode()


def is_contract(text: str) -> bool:
    """Tell whether a text is a contract's id, its checksum included."""
    try:
        decode(text, CONTRACT)
    except ValueError:  # binascii.Error is one
        return False
    return True


def _checksum(data: bytes) -> bytes:
    return struct.pack("<H", binascii.crc_hqx(data, 0))  # CRC-16/XMODEM (SEP-23)
