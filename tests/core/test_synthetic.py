"""Ledgers out of nothing, of numbers that cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest

import stellarrow as sa


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            {"seed": 2**64},
            {"contracts": 2**65},
            {"ledger_bytes": 2**65},
            {"first": 2**33},
            {"ledgers": 2**70},
        ),
        {"first": 2**32 - 1, "ledgers": 2},
    ],
)
def test_a_number_beyond_what_a_ledger_can_have_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(sa.ConfigError, match="give a whole number of at most"):
        sa.synth(**{"ledgers": 1, **wrong})
