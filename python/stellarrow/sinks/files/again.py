"""Listing again where what a listing named went before it was read: it was merged, archived or set aside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from stellarrow.errors import Damaged
from stellarrow.storage.files import Gone

CHANCES: Final = 10  # to list again, each time that files went just then

Answer = TypeVar("Answer")


def again(look: Callable[[], Answer]) -> Answer:
    """Do what lists and then reads; once more where a file went in between, unless it is named still."""
    refused: set[str] = set()
    while True:
        try:
            return look()
        except (Gone, Damaged) as error:  # what is damaged may have been set aside just now
            if str(error) in refused or len(refused) == CHANCES:
                raise
            refused.add(str(error))
