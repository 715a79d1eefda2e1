"""How many files, connections among them, a process may have open."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Final

_ENOUGH: Final = 65_536  # more than the servers here can serve


def allow_many_files() -> None:
    """Take what the system allows, where a process begins with 1,024: strangers use that up quickly."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
