"""Valid synthetic ledgers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from stellarrow import _core
from stellarrow.core.arguments import check, number
from stellarrow.core.errors import translate
from stellarrow.core.framing import frame
from stellarrow.ledgers import LAST_POSSIBLE, Network

_MOST: Final = 2**32 - 1
_MOST_SEED: Final = 2**64 - 1


def synth(
    ledgers: int = 1000,
    contracts: int = 2000,
    *,
    seed: int = 1,
    first: int = 2,
    ledger_bytes: int | None = None,
    network: str | Network = "synthetic",
) -> bytes:
    """Make valid ledgers out of nothing; the same arguments make the same bytes.

    Args:
        ledgers: How many.
        contracts: How many contracts they are about.
        seed: Another one makes other ledgers.
        first: The sequence of the first ledger, 2 at least.
        ledger_bytes: About how many bytes of XDR a ledger has; None leaves them small.
        network: A name or a passphrase; transactions are hashed for it.

    Returns:
        A record-marked stream (RFC 5531) of LedgerCloseMeta values, as `decode` takes it.

    Raises:
        ConfigError: A number is out of range.
    """
    first = number("first", first, least=2, most=LAST_POSSIBLE)
    ledgers = number("ledgers", ledgers, least=0, most=LAST_POSSIBLE - first + 1)
    endless = synthetic(contracts, seed=seed, first=first, ledger_bytes=ledger_bytes, network=network)
    return frame(list(islice(endless, ledgers)), "record-marked")


def synthetic(
    contracts: int = 2000,
    *,
    seed: int = 1,
    first: int = 2,
    ledger_bytes: int | None = None,
    network: str | Network = "synthetic",
) -> Iterator[bytes]:
    """Return an endless run of valid LedgerCloseMeta values, about `ledger_bytes` each."""
    check(network=network)
    contracts = number("contracts", contracts, least=1, most=_MOST)
    seed = number("seed", seed, least=0, most=_MOST_SEED)
    first = number("first", first, least=2, most=LAST_POSSIBLE)
    if ledger_bytes is not None:
        ledger_bytes = number("ledger_bytes", ledger_bytes, least=1, most=_MOST)
    try:
        passphrase = Network.of("" if network is None else network).passphrase
        return _core.Synth(
            seed=seed, first=first, contracts=contracts, ledger_bytes=ledger_bytes, passphrase=passphrase
        )
    except _core.CoreError as error:
        raise translate(error) from error
