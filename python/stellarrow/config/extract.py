"""What can be set of an extraction, and what it is unless set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stellarrow.config.parts import COUNT, ON_ERROR, THREADS, Logged, Reached, Stored
from stellarrow.config.settings import setting
from stellarrow.config.values import DURATION, LIST, RPC_URLS, TEXT, TRUTH, URL, URLS, choice

SPEC: Final = "Of typed tables: C…=FILE.wasm, the interface of a contract, or C…=stellar-asset."
SPECS: Final = "Of typed tables: where contracts' code is: an extract, a folder of .wasm, an RPC node."
NAMES: Final = "Short names of contracts, such as kale=C…, for typed:kale."


@dataclass(frozen=True, kw_only=True)
class Extract(Reached, Stored, Logged):
    """Ledgers out of a source into sinks."""

    source: str | None = setting(URL, None, "SOURCE", help="A path, a glob, a URL, - for stdin, or a list.")
    rpc: tuple[str, ...] = setting(RPC_URLS, "", help="RPC nodes: alone, or from where the source ends.")
    tables: tuple[str, ...] = setting(LIST, "", help="Tables, as name or name@version, or all.")
    spec: tuple[str, ...] = setting(LIST, "", help=SPEC)
    specs: str | None = setting(TEXT, None, help=SPECS)
    name: tuple[str, ...] = setting(LIST, "", help=NAMES)
    ledgers: str | None = setting(
        TEXT, None, help="A:B, A:+N, A:, :B, A, latest, 2024-07-01:+1d, -1d:, or a list."
    )
    to: tuple[str, ...] = setting(URLS, "parquet:./stellarrow-data", help="Where to, such as parquet:FOLDER.")
    contract_ids: tuple[str, ...] = setting(
        LIST, "", "FILTER_CONTRACT_IDS", help="Only rows of these contracts (C…)."
    )
    asset_codes: tuple[str, ...] = setting(
        LIST, "", "FILTER_ASSET_CODES", help="Only rows of assets: CODE, CODE:ISSUER, native (XLM)."
    )
    asset_issuers: tuple[str, ...] = setting(
        LIST, "", "FILTER_ASSET_ISSUERS", help="Only rows of assets of these issuers."
    )
    event_names: tuple[str, ...] = setting(
        LIST, "", help="Only events whose first topic is one of these symbols."
    )
    event_types: tuple[str, ...] = setting(
        LIST, "", help="Only events of these types: contract, system; transfers: mint, payment …"
    )
    accounts: tuple[str, ...] = setting(
        LIST, "", help="Only transfers from or to these (G…, M…, C…, B…, L…)."
    )
    where: str | None = setting(TEXT, None, help="Only rows of which this SQL condition is true.")
    filter: str | None = setting(TEXT, None, help="A named filter, too: see stellarrow queries.")
    projection: str | None = setting(TEXT, None, help="A named projection, instead of a select.")
    select: str | None = setting(TEXT, None, help="What SQL has after SELECT, instead of all columns.")
    include_deleted: bool = setting(TRUTH, "true", "INCLUDE_DELETED", help="Rows of removed entries too.")
    decoded: bool = setting(TRUTH, "false", help="Add values as JSON, code and its interface.")
    transfers: str = setting(
        choice(("derive", "unified")), "derive", help="Where token_transfers come from: derive or unified."
    )
    verify_chain: bool = setting(TRUTH, "true", help="Refuse ledgers whose hashes do not link.")
    verify_hashes: bool | None = setting(
        TRUTH,
        None,
        help="Check transactions and results against headers; by default over a network.",
    )
    workers: int | None = setting(
        THREADS, None, "WORKER_COUNT", help="Decoding threads; one a core by default."
    )
    budget_mb: int = setting(COUNT, "64", "MAX_MEMORY_MB", help="Memory for ledgers in flight.")
    on_error: str = setting(ON_ERROR, "stop", help="At a bad ledger: stop, or put it aside.")
    commit_every: float = setting(DURATION, "1m", help="Nothing written waits much longer to be durable.")
    shard: str | None = setting(TEXT, None, "SHARD", help="I/N: the I-th of N shards of all, from 0.")
