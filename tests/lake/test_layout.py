from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellarrow import ConfigError, LedgerRange, Network, SourceError
from stellarrow.lake.layout import Layout, Manifest, detect, ledgers_named, manifest, partition_named
from stellarrow.ledgers import LAST_POSSIBLE

ledgers = st.integers(0, LAST_POSSIBLE)
layouts = st.builds(
    Layout,
    ledgers_per_file=st.integers(1, 64),
    files_per_partition=st.integers(0, 64_000),
    suffix=st.sampled_from([".xdr.zst", ".xdr.zstd"]),
)


@pytest.mark.parametrize(
    ("layout", "ledger", "key"),
    [
        (Layout(1, 64_000), 53312000, "FCD285FF--53312000-53375999/FCD285FF--53312000.xdr.zst"),
        (Layout(1, 64_000), 2, "FFFFFFFF--0-63999/FFFFFFFD--2.xdr.zst"),
        (Layout(64, 10), 639, "FFFFFFFF--0-639/FFFFFDBF--576-639.xdr.zst"),
        (Layout(64, 1), 640, "FFFFFD7F--640-703.xdr.zst"),
        (Layout(1, 0, ".xdr.zstd"), 7, "FFFFFFF8--7.xdr.zstd"),
        (Layout(1, 64_000), LAST_POSSIBLE, "0000D7FF--4294912000-4294967295/00000000--4294967295.xdr.zst"),
        (Layout(48, 1), LAST_POSSIBLE, "0000000F--4294967280-4294967295.xdr.zst"),
    ],
)
def test_a_ledger_lies_where_galexie_puts_it(layout: Layout, ledger: int, key: str) -> None:
    assert layout.key(ledger) == key


@given(layouts, ledgers)
def test_a_name_tells_the_ledgers_it_was_made_of(layout: Layout, ledger: int) -> None:
    folder, _, name = layout.key(ledger).rpartition("/")
    held = ledgers_named(name)
    assert held == layout.file(ledger)
    assert held
    assert ledger in held
    assert not folder or partition_named(folder) == layout.partition(ledger)


@given(layouts, ledgers, ledgers)
def test_newer_files_sort_first(layout: Layout, one: int, other: int) -> None:
    older, newer = sorted((one, other))
    if layout.file(older) != layout.file(newer):
        assert layout.key(newer) < layout.key(older)


@given(layouts, st.integers(0, LAST_POSSIBLE - 64 * 64_000))
def test_a_layout_is_told_from_any_one_name(layout: Layout, ledger: int) -> None:
    found = detect([".config.json", "notes.txt", layout.key(ledger)])
    assert found
    assert (str(found), found.suffix) == (str(layout), layout.suffix)


def test_names_cut_short_at_the_last_ledger_tell_no_layout() -> None:
    assert detect([Layout(64, 10).key(LAST_POSSIBLE)]) is None


@pytest.mark.parametrize(
    "name",
    [
        *("FFFFFFFE--2.xdr.zst", "FFFFFFFD--2.xdr.gz", "fffffffd--2.xdr.zst", "FFFFFFFD--2", "2.xdr.zst"),
        *("FFFFFFFF--5-4.xdr.zst", "FFFFFFFA--5-4294967296.xdr.zst", ".config.json", ""),
    ],
)
def test_other_names_are_none_of_a_lake(name: str) -> None:
    assert ledgers_named(name) is None


def test_the_files_of_a_range_are_all_that_it_touches() -> None:
    assert list(Layout(64).files(LedgerRange(63, 128))) == [
        LedgerRange(0, 63),
        LedgerRange(64, 127),
        LedgerRange(128, 191),
    ]


@given(layouts)
def test_a_manifest_is_read_as_it_was_written(layout: Layout) -> None:
    answer = Manifest.read(manifest(layout, Network.of("pubnet")), where="here")
    assert (answer.network, str(answer.layout)) == (Network.of("pubnet"), str(layout))


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"networkPassphrase": "x", "compression": "gzip"}, "here names the compression 'gzip'"),
        ({"networkPassphrase": "x", "ledgersPerBatch": 0, "batchesPerPartition": 1}, "0 ledgers a file"),
        ({"networkPassphrase": "x", "ledgersPerBatch": "?", "batchesPerPartition": 1}, "tells no layout"),
        ({}, "names no networkPassphrase"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_named(told: dict[str, object], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        Manifest.read(json.dumps(told).encode(), where="here")


def test_a_manifest_may_leave_the_layout_out() -> None:
    assert Manifest.read(b'{"networkPassphrase": "x"}', where="here").layout is None


@pytest.mark.parametrize("wrong", [(0, 1, ".xdr.zst"), (1, -1, ".xdr.zst"), (1, 1, ".gz")])
def test_a_layout_that_cannot_be_is_refused(wrong: tuple[int, int, str]) -> None:
    with pytest.raises(ConfigError):
        Layout(*wrong)
