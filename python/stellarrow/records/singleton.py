"""What only one process may do to a place at a time, under a lease that the URL of shared records names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Final

from stellarrow.records.lease import Lease, Renewed
from stellarrow.records.opening import open_records

_SECONDS: Final = 30.0  # without a sign of life, after which a holder has lost it

Confirm = Callable[[str], None]


def unconfirmed(_: str) -> None:
    """Do nothing: there is no lease."""


@contextmanager
def singly(url: str | None, place: str, *, stopped: Callable[[float], bool]) -> Iterator[Confirm]:
    """Hold the lease of a place while the block runs; LeaseHeld where another process does.

    What is yielded is called before each write, with what that is: it proves in the same step that the lease
    is still ours, and raises LeaseLost where it is not. Without a URL there is no lease.
    """
    if url is None:
        yield unconfirmed
        return
    name = hashlib.sha256(place.encode()).hexdigest()[:16]
    with closing(open_records(url)) as records:
        lease = Lease(records, name, seconds=_SECONDS)
        lease.take(stopped=stopped)
        with Renewed(lease):
            yield lease.write
