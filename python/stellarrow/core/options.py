"""How ledgers become rows: what the decoder, the loop, the sinks and the registry hand on to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stellarrow.filter import Filter
from stellarrow.ledgers import Network

if TYPE_CHECKING:
    from stellarrow.core.typed import TypedTables


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeOptions:
    """How ledgers become rows; each is as `decode` says.

    The first four decide which rows there are and what is in them: a sink keeps them with its tables, and
    refuses rows made otherwise. Where `verify_hashes` is None, chunks that came over a network are verified.
    `typed` makes the tables whose columns contracts declare. `dictionaries` lets batches have dictionaries of
    texts that repeat, the values the same; rows that an expression in SQL makes are plain.
    """

    network: Network
    where: Filter | None = None
    decoded: bool = False
    transfers: str = "derive"
    diagnostics: bool = False
    verify_chain: bool = True
    verify_hashes: bool | None = None
    typed: TypedTables | None = None
    dictionaries: bool = False
