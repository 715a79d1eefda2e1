"""Measure what the Python package `stellar-sdk` needs to decode ledgers in full."""

from stellar_sdk.xdr import LedgerCloseMeta

from peers.stepping import drive, flags, split


def main() -> None:
    options = flags(str(__doc__)).parse_args()
    ledgers = split(options.file.read_bytes(), options.ledgers)

    def one_pass() -> int:
        for ledger in ledgers:
            LedgerCloseMeta.from_xdr_bytes(ledger)
        return 0

    drive(options, ledgers, one_pass)


if __name__ == "__main__":
    main()
