"""What a header commits to is verified of what comes over a network, and wherever it is asked for."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from fakes.raw_ledgers import RawLedgers
from fakes.raw_ledgers import serving as serving_raw
from fakes.rpc import RpcNode
from fakes.rpc import serving as serving_rpc
from stellarrow.core.decode import Decoder
from stellarrow.core.framing import frame
from stellarrow.lake.layout import Layout
from stellarrow.registry import open_source

BAD = 105


@pytest.fixture(scope="session")
def altered(ledgers: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The forty ledgers, with another signature in ledger 105: no table's rows differ."""
    sound = ledgers[BAD - 100]
    for at in range(800, len(sound), 4):
        changed = sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :]
        with suppress(sa.StellarrowError):
            sa.decode(changed, ["transactions"], network="synthetic")
            with pytest.raises(sa.DecodeError, match="tx_set_hash"):
                sa.decode(changed, ["transactions"], network="synthetic", verify_hashes=True)
            return (*ledgers[: BAD - 100], changed, *ledgers[BAD - 99 :])
    raise AssertionError("no byte of the transaction set can be changed")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def place(altered: tuple[bytes, ...], tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Serve the altered ledgers in one way or the other, and return its URL."""
    with ExitStack() as stack:

        def served(kind: str) -> str:
            if kind == "rpc":
                return f"rpc+{stack.enter_context(serving_rpc(RpcNode(altered))).url}"
            if kind == "grpc":
                return f"grpc://127.0.0.1:{stack.enter_context(serving_raw(RawLedgers(altered)))}"
            if kind == "file":
                (tmp_path / "all.xdr").write_bytes(frame(altered, "record-marked"))
                return str(tmp_path / "all.xdr")
            lake = written(tmp_path / "lake", altered)
            if kind == "lake":
                return f"file://{lake}"
            handler = partial(_Quiet, directory=tmp_path)
            server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}/lake"

        yield served


def written(folder: Path, ledgers: tuple[bytes, ...]) -> Path:
    """Write a lake as it is, whatever is in it."""
    for number, ledger in enumerate(ledgers, 100):
        path = folder / Layout().key(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(frame([ledger], "batch", compression_level=1))
    manifest = {
        "networkPassphrase": sa.Network.of("synthetic").passphrase,
        "version": "1.0",
        "compression": "zstd",
        "ledgersPerBatch": 1,
        "batchesPerPartition": 64_000,
    }
    (folder / ".config.json").write_text(json.dumps(manifest))
    return folder


def decoded(url: str, **choices: Any) -> list[int]:
    decoder = Decoder(["ledgers"], network="synthetic", **choices)
    with closing(open_source(url, network="synthetic")) as source:
        return [decoder(chunk).first for chunk in source.read(sa.LedgerRange(103, 107))]


@pytest.mark.parametrize("kind", ["rpc", "grpc", "http"])
def test_a_changed_transaction_that_came_over_a_network_is_refused(
    kind: str, place: Callable[[str], str]
) -> None:
    url = place(kind)
    with pytest.raises(
        sa.DecodeError, match=r"hashes to \w{64}, but the header's scp_value.tx_set_hash is \w{64}"
    ):
        decoded(url)
    assert decoded(url, verify_hashes=False)


@pytest.mark.parametrize("kind", ["file", "lake"])
def test_a_changed_transaction_in_a_local_file_is_refused_on_request(
    kind: str, place: Callable[[str], str]
) -> None:
    url = place(kind)
    assert decoded(url)
    with pytest.raises(sa.DecodeError, match="tx_set"):
        decoded(url, verify_hashes=True)


def test_scan_and_run_pass_the_choice_on(place: Callable[[str], str], tmp_path: Path) -> None:
    file = place("file")
    scanned = sa.scan(file, table="ledgers", network="synthetic", verify_hashes=True)
    with pytest.raises(Exception, match="tx_set_hash"):
        scanned.to_reader().read_all()
    given: dict[str, Any] = {"tables": ["ledgers"], "network": "synthetic"}
    with pytest.raises(sa.DecodeError, match="tx_set_hash"):
        sa.run(file, sinks=[f"parquet:{tmp_path / 'out'}"], verify_hashes=True, **given)
    assert sa.run(file, sinks=[f"parquet:{tmp_path / 'other'}"], **given).ledgers == 40


def test_lake_check_finds_a_changed_transaction(
    stellarrow: Callable[..., Any], place: Callable[[str], str]
) -> None:
    done = stellarrow("lake", "check", place("lake"))
    assert done.code == 1
    assert "damaged 1" in done.out
    assert f"ledger {BAD}: v1.tx_set" in done.out


def test_extract_verifies_on_request_and_with_verify(
    stellarrow: Callable[..., Any], place: Callable[[str], str], tmp_path: Path
) -> None:
    line = ["extract", place("file"), "--network", "synthetic", "--tables", "ledgers"]
    line += ["--to", f"parquet:{tmp_path / 'out'}"]
    refused = stellarrow(*line, "--verify-hashes")
    assert (refused.code, "tx_set_hash" in refused.err) == (1, True)
    assert stellarrow(*line).code == 0
    refused = stellarrow(*line, "--verify")
    assert (refused.code, "tx_set_hash" in refused.err) == (1, True)
    assert stellarrow(*line, "--verify", "--no-verify-hashes").code == 0


def test_what_a_dead_letter_was_refused_for_is_refused_again(
    stellarrow: Callable[..., Any], place: Callable[[str], str], tmp_path: Path
) -> None:
    state: list[str] = ["--state-dir", str(tmp_path / "state")]
    asked_for: dict[str, list[str]] = {"grpc": [], "file": ["--verify-hashes"]}
    for kind, asked in asked_for.items():
        line = [
            "extract",
            place(kind),
            "--network",
            "synthetic",
            "--tables",
            "ledgers",
            "--ledgers",
            "100:139",
        ]
        line += ["--on-error", "quarantine", *asked, *state, "--to", f"parquet:{tmp_path / kind}"]
        assert stellarrow(*line).code == 0
        retried = stellarrow("dlq", "retry", str(BAD), *state)
        assert retried.code == 1
        assert "tx_set_hash" in retried.out
        assert stellarrow("dlq", "drop", str(BAD), *state).code == 0


@pytest.fixture
def other_meta(ledgers: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The forty ledgers, with another balance in ledger 110: no hash covers it."""
    sound = ledgers[110 - 100]
    before = sa.decode(sound, ["contract_data"], network="synthetic")["contract_data"]
    for at in range(len(sound) - 1, 0, -4):
        changed = sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :]
        with suppress(sa.StellarrowError):
            after = sa.decode(changed, ["contract_data"], network="synthetic", verify_hashes=True)
            if after["contract_data"] != before:
                return (*ledgers[:10], changed, *ledgers[11:])
    raise AssertionError("no entry can be changed")


@pytest.mark.parametrize("kind", ["rpc", "grpc", "file"])
def test_a_second_source_tells_what_no_hash_covers(
    stellarrow: Callable[..., Any],
    kind: str,
    ledgers: tuple[bytes, ...],
    other_meta: tuple[bytes, ...],
    tmp_path: Path,
) -> None:
    lake = written(tmp_path / "lake", ledgers)
    with ExitStack() as stack:
        (tmp_path / "other.xdr").write_bytes(frame(other_meta[:30], "record-marked"))
        if kind == "rpc":
            against = f"rpc+{stack.enter_context(serving_rpc(RpcNode(other_meta[:30]))).url}"
        elif kind == "grpc":
            against = f"grpc://127.0.0.1:{stack.enter_context(serving_raw(RawLedgers(other_meta)))}"
        else:
            against = str(tmp_path / "other.xdr")
        done = stellarrow("lake", "check", lake, "--against", against, "--ledgers", "103:135", "--json")
    answer = json.loads(done.out)
    assert done.code == 1
    (fault,) = answer["faults"]
    assert (fault["kind"], fault["place"]) == ("differs", "ledger 110")
    assert fault["told"].startswith("v1.tx_processing[")
    expected = {"rpc": "130:135", "grpc": "", "file": "130:135"}
    assert answer["not_compared"] == expected[kind]


def test_two_lakes_of_the_same_ledgers_are_well(
    stellarrow: Callable[..., Any], make_lake: Callable[..., Path], ledgers: tuple[bytes, ...], tmp_path: Path
) -> None:
    other = written(tmp_path / "other", ledgers)
    done = stellarrow("lake", "check", make_lake(), "--against", f"file://{other}")
    assert (done.code, done.out.endswith(": all is well\n")) == (0, True)


def test_a_second_source_without_these_ledgers_proves_nothing(
    stellarrow: Callable[..., Any], make_lake: Callable[..., Path]
) -> None:
    done = stellarrow("lake", "check", make_lake(100, 110), "--against", make_lake(120, 130, name="later"))
    assert done.code == 1
    assert "none of the ledgers 100:110" in done.out


def test_a_second_source_that_cannot_be_read_is_told(
    stellarrow: Callable[..., Any], make_lake: Callable[..., Path]
) -> None:
    done = stellarrow("lake", "check", make_lake(), "--against", "grpc://127.0.0.1:1")
    assert done.code == 1
    assert "127.0.0.1:1" in done.out
    assert "Traceback" not in done.out + done.err
    assert stellarrow("lake", "check", make_lake(), "--against", "gopher://here").code == 2
