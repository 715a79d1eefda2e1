"""`stellarrow contract`: a contract's interface as readable signatures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import click

from stellarrow.cli.options import LocalPath, list_option
from stellarrow.cli.output.said import say
from stellarrow.contracts.interface import signatures
from stellarrow.core.contract import meta_json, spec_json, spec_status
from stellarrow.core.strkey import is_contract
from stellarrow.errors import ConfigError, SourceError
from stellarrow.storage.paths import local_path

_WASM: Final = b"\0asm"
_NO_CODE: Final = "has no interface: it is not WebAssembly"
# By the word for what became of the interface.
_LACKS: Final = {
    "absent": "has no interface: its code has no contractspecv0 section (SEP-48)",
    "malformed": (
        "has a malformed interface: its contractspecv0 section (SEP-48) is cut short or not made of entries"
    ),
    "newer": (
        "has an interface that is newer than this stellarrow: its contractspecv0 section (SEP-48) has entries"
        " or types that are not known here; upgrade stellarrow"
    ),
}


@click.command(
    short_help="Print what a contract can do.", epilog="\b\nExample:\n  stellarrow contract token.wasm"
)
@click.argument("contract", metavar="CONTRACT_OR_WASM")
@click.option("--data", default="./stellarrow-data", type=LocalPath(), help="[./stellarrow-data]")
@click.option("--source", metavar="PLACE", help="Ask ledgers there: code over time, storage, latest events.")
@list_option("--ledgers", metavar="RANGES", help="Which of them: A:B, A:+N, 2024-07-01, or a list.")
@click.option("--network", metavar="NAME", help="Their network, where they do not tell it.")
@list_option("--spec", metavar="LIST", help="C…=FILE.wasm, where the ledgers do not have its code.")
@click.option("--specs", metavar="PLACE", help="Where code is: an extract, .wasm files, an archive, a node.")
@click.option("--json", "as_json", is_flag=True, help="The interface as a JSON array of SCSpecEntry.")
def command(contract: str, data: Path, as_json: bool, source: str | None, **asked: Any) -> None:
    """Print the interface of a contract: functions, structs, unions, enums, errors, events.

    CONTRACT_OR_WASM is a WebAssembly file, or a contract id (C…) looked up in what extract wrote, which
    then needs the tables contract_data and contract_code, extracted with --decoded. With --source, ledgers
    tell of the contract: its interface where its code is in them, which code it ran when, what it keeps by
    case, and its latest events in words.
    """
    if source:
        if not is_contract(contract):
            raise ConfigError(
                f"{contract!r} is no contract id: --source tells of one (C…, 56 letters and digits)"
            )
        if as_json:
            raise ConfigError("--source tells of a contract in words: leave out --json")
        from stellarrow.cli.contract_report import report  # noqa: PLC0415  loads sources

        for line in report(contract, source, **asked):
            say(line)
        return
    if asked["spec"] or asked["specs"]:
        raise ConfigError("--spec and --specs say how to read ledgers: give those with --source")
    code = local_path(contract).read_bytes() if local_path(contract).is_file() else _extracted(contract, data)
    spec = spec_json(code)
    if spec is None:
        raise SourceError(f"{contract} {_LACKS[spec_status(code)] if code[:4] == _WASM else _NO_CODE}")
    if as_json:
        say(spec)
        return
    for entry in json.loads(meta_json(code) or "[]"):
        say(f"// {entry['sc_meta_v0']['key']}: {entry['sc_meta_v0']['val']}")
    for line in signatures(spec):
        say(line)


def _extracted(contract: str, data: Path) -> bytes:
    if not is_contract(contract):
        raise ConfigError(f"{contract} is neither a file nor a contract id (C… and 55 more)")
    from stellarrow.cli.query.contract_code import extracted_code  # noqa: PLC0415  loads Arrow's datasets

    return extracted_code(contract, data)
