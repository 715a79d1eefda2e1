from __future__ import annotations

from tables.golden import Known, compare


def test_evictions_are_what_the_chain_says(known: Known) -> None:
    compare(known.decode("evictions"), known.golden("evictions"), untold=("closed_at",))
