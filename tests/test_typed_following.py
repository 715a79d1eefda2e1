"""Typed tables of ledgers that have no end that is known: what they tell of contracts holds from then on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

import stellarrow as sa
from memory import MemorySource
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from typed_specs import trade_spec

# Of these ledgers' contracts, one whose code is replaced in ledger 103.
CONTRACT = "CCM3CUMRWBUYNHRYNPSL273MX35O2XHHWBPJXPI6LJ77QSTDNYAHEWE6"
EVENTS = f"typed:{CONTRACT}/events"
COLUMNS = ["ledger_sequence", "transaction_index", "event_index", "wasm_hash", "spec_status"]


@pytest.fixture(scope="module")
def upgraded() -> dict[int, bytes]:
    return dict(enumerate(islice(synthetic(50, seed=35, first=100, ledger_bytes=100_000), 12), 100))


class Growing(MemorySource):
    """A source that has few ledgers when it is asked, and goes on with the others."""

    def __init__(self, ledgers: dict[int, bytes], held: str) -> None:
        super().__init__(ledgers)
        self.held = held

    def available(self) -> sa.LedgerSet:
        return sa.LedgerSet.parse(self.held)


class Once(Growing):
    """The same, as a pipe is: it can be read one time."""

    def read(self, ledgers: sa.LedgerRange) -> Iterator[sa.LedgerChunk]:
        assert self.taken == 0, "it was read before"
        return super().read(ledgers)


@pytest.mark.filterwarnings("ignore::stellarrow.SpecUnknown")
def test_code_that_is_replaced_behind_what_was_there_at_the_start_is_used_from_then_on(
    upgraded: dict[int, bytes], tmp_path: Path
) -> None:
    data = frame([*upgraded.values()], "record-marked")
    whole = sa.decode(data, [EVENTS], network="synthetic")[f"{EVENTS}/_other"].select(COLUMNS)
    report = sa.run(
        Growing(upgraded, "100:101"),
        tables=[EVENTS],
        sinks=f"parquet:{tmp_path / 'out'}",
        network="synthetic",
        ledgers="100:",
    )
    kept = sa.scan(tmp_path / "out", table=f"{EVENTS}/_other", columns=COLUMNS).to_table()
    assert (report.ledgers, str(report.ranges)) == (12, "100:111")
    assert kept.to_pylist() == whole.to_pylist()
    interfaces = {row["wasm_hash"] for row in kept.to_pylist() if row["ledger_sequence"] > 103}
    assert len(interfaces) == 1
    assert None not in interfaces


def test_ledgers_without_an_end_take_an_interface_that_is_said_and_are_read_once(
    upgraded: dict[int, bytes], tmp_path: Path
) -> None:
    said = {"tables": [f"typed:{CONTRACT}"], "network": "synthetic", "ledgers": "100:"}
    with pytest.raises(sa.ConfigError, match=rf"typed tables of {CONTRACT} are made of .*--specs PLACE"):
        sa.run(Once(upgraded, "100:"), sinks=f"parquet:{tmp_path / 'none'}", **said)  # type: ignore[arg-type]
    assert not (tmp_path / "none").exists()
    out = tmp_path / "out"
    specs = {CONTRACT: trade_spec()}
    report = sa.run(Once(upgraded, "100:"), sinks=f"parquet:{out}", specs=specs, **said)  # type: ignore[arg-type]
    trades = sa.typed(CONTRACT, out)["events/Trade"].to_table()
    assert (report.ledgers, report.rows[f"{EVENTS}/Trade"]) == (12, trades.num_rows)
    assert trades.num_rows > 0
    assert {*trades.column("spec_status").to_pylist()} == {"decoded"}


def test_a_pipe_is_extracted_with_an_interface_that_is_said(
    upgraded: dict[int, bytes], tmp_path: Path
) -> None:
    (tmp_path / "trade.spec").write_bytes(trade_spec())
    out = tmp_path / "out"
    command = ["extract", "-", "--network", "synthetic", "--tables", "typed:coin/events", "--name"]
    command += [f"coin={CONTRACT}", "--spec", f"coin={tmp_path / 'trade.spec'}", "--to", f"parquet:{out}"]
    done = subprocess.run(
        [sys.executable, "-c", "from stellarrow.cli import main; main()", *command],
        input=frame([*upgraded.values()], "record-marked"),
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    data = frame([*upgraded.values()], "record-marked")
    specs = {CONTRACT: trade_spec()}
    expected = sa.decode(data, [f"{EVENTS}/Trade"], network="synthetic", specs=specs)
    assert sa.scan(out, table=f"{EVENTS}/Trade").to_table().to_pylist() == (
        expected[f"{EVENTS}/Trade"].to_pylist()
    )
