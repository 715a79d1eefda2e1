from __future__ import annotations

import pytest

from stellarrow.core.strkey import ACCOUNT, CONTRACT, decode, encode, is_contract

SAC_OF_LUMENS = "CAS3J7GYLGXMF6TDJBBYYSE3HQ6BBSMLNUQ34T6TZMYMW2EVH34XOWMA"


def test_a_strkey_is_read_and_written_again() -> None:
    assert encode(decode(SAC_OF_LUMENS, CONTRACT), CONTRACT) == SAC_OF_LUMENS


@pytest.mark.parametrize(
    "text", [SAC_OF_LUMENS[:-1] + "B", "CAS3", "nope", "", SAC_OF_LUMENS.lower(), "Ü" * 56]
)
def test_what_is_mistyped_is_no_contract(text: str) -> None:
    assert is_contract(SAC_OF_LUMENS)
    assert not is_contract(text)


def test_a_contract_is_no_account() -> None:
    with pytest.raises(ValueError, match="no strkey of that kind"):
        decode(SAC_OF_LUMENS, ACCOUNT)
