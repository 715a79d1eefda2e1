"""Measure `sa.decode` from bytes in memory to record batches, under the same flags as its peers."""

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import stellarrow as sa
from peers.stepping import drive, flags, split

# With threads, one pass goes over the corpus this often: an uneven last share then weighs little.
THREADED_PASSES = 10


def parse() -> argparse.Namespace:
    parser = flags(str(__doc__))
    parser.add_argument("--stored", type=Path, help="decode this file's bytes instead, zstd and all")
    parser.add_argument("--tables", required=True, help="comma list of name or name@version")
    parser.add_argument("--passphrase", required=True)
    parser.add_argument("--no-verify-chain", action="store_true")
    parser.add_argument(
        "--each", action="store_true", help="one call a ledger instead of one over everything"
    )
    parser.add_argument("--decoded", action="store_true", help="values as XDR-JSON too")
    parser.add_argument("--transfers", default="derive", help="where token_transfers come from")
    parser.add_argument("--where", default="", help="only rows of which this SQL condition is true")
    parser.add_argument("--one-contract", action="store_true", help="only rows of the first row's contract")
    parser.add_argument("--threads", type=int, default=0, help="one call a ledger on so many threads")
    return parser.parse_args()


def one_contract(options: argparse.Namespace, raw: bytes) -> sa.Filter:
    """Return a filter for the contract whose storage changes first."""
    batches = sa.decode(
        raw, ["contract_data"], network=options.passphrase, verify_chain=not options.no_verify_chain
    )
    return sa.Filter(contract_ids=[batches["contract_data"].column("contract_id")[0].as_py()])


def decoder(options: argparse.Namespace, raw: bytes) -> Callable[[bytes], int]:
    """Return a function that decodes its input once and counts the rows."""
    where = one_contract(options, raw) if options.one_contract else options.where
    tables = options.tables.split(",")
    verify_chain = not options.no_verify_chain
    framing = "single" if options.each or options.threads else "auto"

    def rows_of(data: bytes) -> int:
        batches = sa.decode(
            data,
            tables=tables,
            network=options.passphrase,
            framing=framing,
            where=where,
            decoded=options.decoded,
            transfers=options.transfers,
            verify_chain=verify_chain,
        )
        return sum(batch.num_rows for batch in batches.values())

    return rows_of


def main() -> None:
    options = parse()
    raw = options.file.read_bytes()
    ledgers = split(raw, options.ledgers)
    rows_of = decoder(options, raw)
    if options.threads:
        ledgers *= THREADED_PASSES
        with ThreadPoolExecutor(options.threads) as pool:
            drive(options, ledgers, lambda: sum(pool.map(rows_of, ledgers)))
        return
    inputs = ledgers if options.each else [options.stored.read_bytes() if options.stored else raw]
    drive(options, ledgers, lambda: sum(map(rows_of, inputs)))


if __name__ == "__main__":
    main()
