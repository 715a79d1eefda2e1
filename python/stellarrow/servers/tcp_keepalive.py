"""Peers that are gone without a word, as those of a host that lost its power."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Final

_OPEN_FILES: Final = Path("/dev/fd")
_WANTED: Final = {  # of the names a system has
    "TCP_KEEPIDLE": 30,  # seconds until a silent peer is asked whether it is there
    "TCP_KEEPINTVL": 10,  # seconds until it is asked again
    "TCP_KEEPCNT": 3,  # times in vain until its connection is closed
}


def keep_asking(port: int) -> None:
    """Let the system close connections to a port we listen on whose peers are gone.

    gRPC asks only after two hours, and pyarrow has no setting for it. A connection inherits the options of
    the socket it came in by, which is to be found among the open files.
    """
    for name in os.listdir(_OPEN_FILES) if _OPEN_FILES.is_dir() else ():
        try:
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                with socket.socket(fileno=os.dup(int(name))) as one:
                    _ask_if_listening(one, port)
        except OSError:
            continue  # closed since it was listed


def _ask_if_listening(one: socket.socket, port: int) -> None:
    if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and one.getsockname()[1:2] == (port,):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _WANTED.items():
            if hasattr(socket, name):
                one.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
