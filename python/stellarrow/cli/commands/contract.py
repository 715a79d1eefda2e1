"""`stellarrow contract`: a contract's interface as readable signatures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click
import pyarrow.parquet as pq

from stellarrow.cli.options import LocalPath
from stellarrow.contracts.interface import signatures
from stellarrow.core.contract import meta_json, spec_json
from stellarrow.errors import ConfigError, SourceError
from stellarrow.storage.paths import local_path

_STRKEY_LENGTH: Final = 56


@click.command(
    short_help="Print what a contract can do.", epilog="\b\nExample:\n  stellarrow contract token.wasm"
)
@click.argument("contract", metavar="CONTRACT_OR_WASM")
@click.option("--data", default="./stellarrow-data", type=LocalPath(), help="[./stellarrow-data]")
@click.option("--json", "as_json", is_flag=True, help="The interface as a JSON array of SCSpecEntry.")
def command(contract: str, data: Path, as_json: bool) -> None:
    """Print the interface of a contract: functions, structs, unions, enums, errors, events.

    CONTRACT_OR_WASM is a WebAssembly file, or a contract id (C…) looked up in what extract wrote, which
    then needs the tables contract_data and contract_code, extracted with --decoded.
    """
    code = local_path(contract).read_bytes() if local_path(contract).is_file() else _extracted(contract, data)
    spec = spec_json(code)
    if spec is None:
        raise SourceError(f"{contract} has no interface (no sound contractspecv0 section, SEP-48)")
    if as_json:
        click.echo(spec)
        return
    for entry in json.loads(meta_json(code) or "[]"):
        click.echo(f"// {entry['sc_meta_v0']['key']}: {entry['sc_meta_v0']['val']}")
    for line in signatures(spec):
        click.echo(line)


def _extracted(contract: str, data: Path) -> bytes:
    if len(contract) != _STRKEY_LENGTH or not contract.startswith("C"):
        raise ConfigError(f"{contract} is neither a file nor a contract id (C… of 56 characters)")
    wasm_hash = None
    columns = ["contract_instance_type", "contract_instance_wasm_hash"]
    for path in sorted(data.glob("**/contract_data/*.parquet"), key=lambda path: path.name):
        wanted = [("contract_id", "==", contract), ("contract_instance_type", "!=", "")]
        for row in pq.read_table(path, columns=columns, filters=wanted).to_pylist():
            if row["contract_instance_type"] == "stellar_asset":
                raise SourceError(f"{contract} is a Stellar Asset Contract: it has no code of its own")
            wasm_hash = row["contract_instance_wasm_hash"]
    if wasm_hash is None:
        raise SourceError(
            f"no instance of {contract} is in {data}: extract contract_data of the ledgers that wrote it"
        )
    return _code(contract, wasm_hash, data)


def _code(contract: str, wasm_hash: str, data: Path) -> bytes:
    for path in sorted(data.glob("**/contract_code/*.parquet")):
        if "code" in pq.read_schema(path).names:
            rows = pq.read_table(path, columns=["code"], filters=[("contract_code_hash", "==", wasm_hash)])
            for code in rows.column("code").drop_null().to_pylist():
                return bytes(code)
    raise SourceError(
        f"the code {wasm_hash} of {contract} is not in {data}: extract contract_code with --decoded from the"
        " ledgers that uploaded it"
    )
