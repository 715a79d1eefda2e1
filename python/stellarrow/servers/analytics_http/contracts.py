"""A contract: what it is, what it stores, what it emitted, and its interface in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa

from stellarrow.analysis.reads.conditions import Conditions
from stellarrow.analysis.reads.reading import Question, Tables
from stellarrow.analysis.reads.refusals import NotFound
from stellarrow.analysis.reads.summaries import Input, Summary
from stellarrow.contracts.interface import signatures
from stellarrow.core.contract import describe
from stellarrow.errors import StellarrowError
from stellarrow.ledgers import LedgerRange
from stellarrow.servers.analytics_http import parameters as of
from stellarrow.servers.analytics_http.accounts import DATA
from stellarrow.servers.analytics_http.answers import Document, Rows
from stellarrow.servers.analytics_http.endpoint import Asked, Endpoint
from stellarrow.servers.analytics_http.rows import PAGING, SELECTING, TableRows
from stellarrow.servers.analytics_http.summaries import SUMMING, Summaries, aside, one_row

EVENTS: Final = "contract_events"
CODE: Final = "contract_code"
_INSTANCE: Final = "ScValTypeScvLedgerKeyContractInstance"
_STORED: Final = (
    *(
        "ledger_sequence",
        "closed_at",
        "transaction_index",
        "change_index",
        "change_type",
        "contract_key_type",
    ),
    *("contract_durability", "last_modified_ledger", "deleted", "ledger_key_hash", "key_xdr", "val_xdr"),
    *("contract_instance_type", "contract_instance_wasm_hash", "expiration_ledger_seq", "contract_id"),
)
_LATEST: Final = """
    select unnest(arg_max(stored, (ledger_sequence, transaction_index, change_index)))
    from stored group by ledger_key_hash
"""
_CONTRACT: Final = f"""
    select any_value(contract_id) as contract_id,
        arg_max(contract_instance_type, ledger_sequence) filter (contract_instance_type is not null) as type,
        arg_max(contract_instance_wasm_hash, ledger_sequence)
            filter (contract_instance_wasm_hash is not null) as wasm_hash,
        (count(*) filter (not deleted))::uinteger as entries,
        max(ledger_sequence) as last_ledger, max(closed_at) as last_change
    from ({_LATEST}) having count(*) > 0
"""
_STORAGE: Final = f"""
    select ledger_key_hash, contract_durability, contract_key_type, key_xdr, val_xdr, ledger_sequence,
        closed_at, expiration_ledger_seq
    from ({_LATEST}) where not deleted order by ledger_key_hash
"""


class ContractEndpoints:
    """Answers about contracts."""

    def __init__(self, tables: Tables, rows: TableRows, summaries: Summaries) -> None:
        self._tables = tables
        self._rows = rows
        self._summaries = summaries

    def endpoints(self) -> list[Endpoint]:
        return [*self._of_data(), *self._of_events()]

    def _of_data(self) -> Iterator[Endpoint]:
        if DATA not in self._tables.names:
            return
        one: dict[str, Any] = {"tag": "contracts"}
        yield Endpoint(
            path="/v1/contracts/{contract}",
            summary="What a contract is, and how many entries it stores",
            answer=self._contract,
            parameters=(of.CONTRACT_ID,),
            **one,
        )
        yield Endpoint(
            path="/v1/contracts/{contract}/storage",
            summary="What a contract stores: the latest state of each entry",
            description="Entries that changed in the ledgers that are here, with key and value in words.",
            answer=self._storage,
            parameters=(of.CONTRACT_ID, *SUMMING),
            has_rows=True,
            **one,
        )
        yield Endpoint(
            path="/v1/contracts/{contract}/interface",
            summary="A contract's interface (SEP-48), as JSON and as signatures",
            description="Its code must be among the stored tables: extract contract_code with --decoded.",
            answer=self._interface,
            parameters=(of.CONTRACT_ID,),
            **one,
        )

    def _of_events(self) -> Iterator[Endpoint]:
        if EVENTS not in self._tables.names:
            return
        yield Endpoint(
            path="/v1/contracts/{contract}/events",
            summary="Events that a contract emitted, the newest first",
            answer=lambda asked: self._rows.answer(
                EVENTS, asked, Conditions(contract_ids=(asked["contract"],))
            ),
            tag="contracts",
            parameters=(
                of.CONTRACT_ID,
                *SELECTING,
                *(of.EVENT_TYPES, of.EVENT_NAMES, of.WHERE),
                *PAGING,
                of.order("desc"),
            ),
            has_rows=True,
            rows_of=EVENTS,
        )

    def _summary(self, query: str, contract: str) -> Summary:
        stored = Input(DATA, _STORED, Conditions(contract_ids=(contract,)))
        return Summary(query, {"stored": stored})

    def _found(self, contract: str) -> Rows:
        one = Asked({"limit": 1}, "json", is_limited=True)
        found = self._summaries.answer(self._summary(_CONTRACT, contract), one)
        if not any(rows.num_rows for rows in found.batches):
            raise NotFound(
                f"no change of {contract} is in the ledgers from {found.since} to {found.as_of}"
                f"{aside(found)}",
                field="contract",
            )
        return found

    def _contract(self, asked: Asked) -> Document:
        found = self._found(asked["contract"])
        return one_row(found)

    def _storage(self, asked: Asked) -> Rows:
        found = self._summaries.answer(self._summary(_STORAGE, asked["contract"]), asked)
        batches = [_in_words(rows) for rows in found.batches]
        schema = batches[0].schema if batches else found.schema
        return replace(found, schema=schema, batches=batches)

    def _interface(self, asked: Asked) -> Document:
        contract = asked["contract"]
        held = next(iter(self._found(contract).batches)).to_pylist()[0]  # one row
        if held["type"] == "stellar_asset":
            raise NotFound(
                f"{contract} is a Stellar Asset Contract: it has no code of its own", field="contract"
            )
        if not held["wasm_hash"]:
            raise NotFound(
                f"the instance of {contract} is not in the ledgers that are here, so its code is not known",
                field="contract",
            )
        spec = self._spec(str(held["wasm_hash"]))
        if spec is None:
            raise NotFound(
                f"the interface of {contract}, in code {held['wasm_hash']}, is not here: extract"
                " contract_code with --decoded from the ledgers that uploaded it",
                field="contract",
            )
        told = {"contract_id": contract, "wasm_hash": held["wasm_hash"], "spec": json.loads(spec)}
        return Document({**told, "signatures": "\n".join(signatures(spec))})

    def _spec(self, wasm_hash: str) -> str | None:
        if CODE not in self._tables.names:
            return None
        snapshot = self._tables.snapshot(CODE)
        if "spec_json" not in snapshot.schema.names:
            return None
        asked = Conditions(where=f"contract_code_hash = '{wasm_hash}' and spec_json is not null")
        question = Question(table=CODE, conditions=asked, columns=("spec_json",))
        for rows in snapshot.read(question, LedgerRange(0, snapshot.as_of)):
            return str(rows.column("spec_json")[0].as_py())
        return None


def _in_words(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Add what keys and values say."""
    for name, said in (("key_xdr", "key"), ("val_xdr", "value")):
        words = pa.array([_words(one.as_py()) for one in rows.column(name)], pa.string())
        rows = rows.append_column(said, words)
    return rows


def _words(scval: str | None) -> str | None:
    try:
        return None if scval is None else describe(scval)
    except StellarrowError:
        return None  # of a protocol that is newer than we are
