"""Texts of the chain, which may be any bytes, back into these bytes."""

from __future__ import annotations

from stellarrow import _core
from stellarrow.errors import ConfigError


def unescape(text: str) -> bytes:
    r"""Return the bytes that a text of the chain stands for: a memo, muxed text, asset code or name.

    Tables have valid UTF-8 as it is, except a backslash as `\\`, NUL as `\0`, and a byte that is no UTF-8 as
    `\xNN`: so different bytes are different texts. A text that is not written so is a ConfigError.
    """
    try:
        found = _core.unescape(text)
    except UnicodeEncodeError:  # half of a surrogate pair
        found = None
    if found is None:
        raise ConfigError(
            f"{text!r} is not written as tables write texts: a backslash is \\\\, NUL is \\0, and a byte that"
            " is no UTF-8 is \\xNN, in lower-case hex; nothing else is escaped"
        )
    return found
