"""What is decoded, what it must reach, and who does the same work beside it."""

import sys
from dataclasses import dataclass
from typing import Literal

from builds import Build
from corpora import Corpus

THREE_TABLES = "ledgers,contract_data@2.0,contract_events"
EIGHT_TABLES = f"{THREE_TABLES},transactions,token_transfers,contract_code,ttl,evictions"
# The Python peer is some 500 times slower than the rest: it gets about this many bytes a pass.
PYTHON_BYTES = 1_300_000
# Ledgers below this mean size are "small": their goal is ledgers a second, not bytes.
SMALL_LEDGER = 20_000
# One call over the uncompressed file, one for each of its ledgers, one over the zstd bytes, or one over the
# uncompressed ledgers with unified events.
Given = Literal["raw", "each", "stored", "unified"]


@dataclass(frozen=True, slots=True)
class Case:
    """One way of calling `decode`. `same_rows` is the mode of the Go peer of the same rows, if any."""

    name: str
    tables: str
    same_rows: str
    goal_mb: float | None = None
    goal_small_ledgers: float | None = None
    given: Given = "raw"
    flags: tuple[str, ...] = ()


CASES = (
    Case("contract_data 2.0", "contract_data@2.0", "contract_data", 2_000, 600_000),
    Case("contract_data 2.0, one call a ledger", "contract_data@2.0", "contract_data", given="each"),
    Case("contract_events", "contract_events", "contract_events", 2_500),
    Case("ledgers + contract_data + contract_events", THREE_TABLES, "three_tables", 1_700),
    Case("the three of them from zstd bytes", THREE_TABLES, "three_tables", 1_300, given="stored"),
    Case("contract_data + contract_events", "contract_data@2.0,contract_events", ""),
    Case(
        "the two of them, of one contract", "contract_data@2.0,contract_events", "", flags=("--one-contract",)
    ),
    Case("contract_events with XDR-JSON", "contract_events", "contract_events", 300, flags=("--decoded",)),
    Case("token_transfers, derived", "token_transfers", "token_transfers", 1_200),
    Case(
        "token_transfers, unified",
        "token_transfers",
        "unified_transfers",
        2_000,
        given="unified",
        flags=("--transfers", "unified"),
    ),
    Case(
        "token_transfers, 1 % of them by SQL",
        "token_transfers",
        "",
        flags=("--where", "transaction_index % 100 = 1 and amount_raw is not null"),
    ),
    Case("transactions", "transactions", ""),
    Case("all eight tables", EIGHT_TABLES, "", 900),
)
GO_MODES = {
    "decode": "full decode",
    "contract_data": "rows of contract_data",
    "contract_events": "rows of contract_events",
    "three_tables": "rows of ledgers, contract_data, contract_events",
    "event_views": "slices of event bytes, no columns",
    "token_transfers": "token transfers",
    "unified_transfers": "token transfers, unified",
}


@dataclass(frozen=True, slots=True)
class Entrant:
    """A program that takes part in the turns on one corpus."""

    key: str
    who: str
    does: str
    argv: tuple[str, ...]
    one_core: bool = True
    case: Case | None = None


def ours(corpus: Corpus) -> list[Entrant]:
    """Return our entrants on a corpus; a single ledger needs no case of one call a ledger."""
    return [
        Entrant(f"ours {case.name}", "stellarrow", case.name, worker(case, corpus), case=case)
        for case in CASES
        if (corpus.ledgers > 1 or case.given != "each") and (corpus.unified or case.given != "unified")
    ]


def worker(case: Case, corpus: Corpus) -> tuple[str, ...]:
    file = corpus.unified if case.given == "unified" else corpus.raw
    argv = [sys.executable, "-m", "peers.stellarrow_worker", "--file", str(file)]
    argv += ["--tables", case.tables, "--passphrase", corpus.passphrase, *case.flags]
    if not corpus.verify_chain:
        argv.append("--no-verify-chain")
    if case.given == "stored":
        argv += ["--stored", str(corpus.stored)]
    elif case.given == "each":
        argv.append("--each")
    return tuple(argv)


def peers(corpus: Corpus, builds: dict[str, Build]) -> list[Entrant]:
    """Return the peers that were built, each held to one core; the Go SDK also with all of them."""
    entrants: list[Entrant] = []
    file = ("--file", str(corpus.raw))
    if go := builds["go"].argv:
        for mode, does in GO_MODES.items():
            read = corpus.unified if mode == "unified_transfers" else corpus.raw
            if read is None:
                continue
            argv = (*go, "--file", str(read), "--mode", mode, "--passphrase", corpus.passphrase, "--cores")
            entrants.append(Entrant(f"go {mode}", "Go SDK", does, (*argv, "1")))
            entrants.append(
                Entrant(f"go {mode}, all cores", "Go SDK, all cores", does, (*argv, "0"), one_core=False)
            )
    for key, who in (("crate", "stellar-xdr crate"), ("crate-mimalloc", "stellar-xdr crate, mimalloc")):
        if builds[key].argv:
            entrants.append(Entrant(key, who, "full decode", (*builds[key].argv, *file)))
    if builds["python"].argv:
        count = min(corpus.ledgers, max(1, PYTHON_BYTES * corpus.ledgers // corpus.bytes))
        argv = (*builds["python"].argv, *file, "--ledgers", str(count))
        entrants.append(Entrant("python", "Python stellar-sdk", f"full decode of {count:,}", argv))
    return entrants


def is_small(corpus: Corpus) -> bool:
    return corpus.bytes / corpus.ledgers < SMALL_LEDGER
