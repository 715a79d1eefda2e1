"""Text of others as a terminal may be given it: what would steer it, or turn letters round, is an escape.

Names of files, settings, answers of servers and texts of the chain may hold any character. Every message,
log line and line of the command line gets them from here.
"""

from __future__ import annotations

import re
from typing import Final

# Controls (C0, C1), ends of lines that are none of ours, Unicode's bidirectional controls (UAX #9), and
# halves of surrogate pairs, which stand for bytes of a name that is no UTF-8.
_OTHER: Final = (
    r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
)
_STEERING: Final = re.compile(rf"[{_OTHER}]|\r(?!\n)")
_IN_A_LINE: Final = re.compile(rf"[{_OTHER}\t\r\n]")


def printable(text: str) -> str:
    """Return a text whose lines and tabs stay, and which does nothing else to a terminal."""
    return text if text.isascii() and text.isprintable() else _STEERING.sub(_escaped, text)


def one_line(text: str) -> str:
    """Return a text that stays on its line, too."""
    return text if text.isascii() and text.isprintable() else _IN_A_LINE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
