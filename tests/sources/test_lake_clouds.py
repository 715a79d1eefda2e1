"""Lakes in the other clouds, as far as their stand-ins go."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.azurite import Azure
from fakes.fake_gcs import Gcs
from stellarrow import LedgerMissing, LedgerRange, LedgerSet, Network, SinkUnavailable
from stellarrow.core.framing import frame
from stellarrow.lake.layout import Layout, manifest
from stellarrow.lake.verify import LakeCheck
from stellarrow.lake.writer import LakeWriter, packed
from stellarrow.net.resilience import Guard
from stellarrow.sources.files import FileSource
from stellarrow.sources.lake import LakeOptions, LakeSource
from stellarrow.storage.opening import open_store
from stellarrow.storage.store import StoreOptions

SYNTHETIC = Network.of("synthetic")


def test_a_lake_in_azure_is_written_read_and_checked(
    azurite: Azure, tmp_path: Path, ledgers: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in azurite.environment.items():
        monkeypatch.setenv(name, value)
    azurite.container("lake")
    (tmp_path / "ledgers.xdr").write_bytes(frame(ledgers, "record-marked"))
    store = open_store("az://lake/pubnet", StoreOptions(endpoint=azurite.endpoint))
    guard = Guard(store.where, refusal=SinkUnavailable)
    for _ in range(2):
        writer = LakeWriter(store, guard, network=SYNTHETIC, layout=Layout(4, 4))
        for part in writer.lacking(LedgerSet.parse("100:139")):
            assert len(list(writer.write(FileSource(tmp_path / "ledgers.xdr"), part))) == 10
    assert store.metadata(Layout(4, 4).key(104))["network-passphrase"] == SYNTHETIC.passphrase
    source = LakeSource("az://lake/pubnet", LakeOptions(endpoint=azurite.endpoint))
    assert str(source.available()) == "100:139"
    assert source.network() == SYNTHETIC
    assert [chunk.last for chunk in source.read(LedgerRange(105, 113))] == [107, 111, 113]
    with pytest.raises(LedgerMissing, match="whose newest is 139"):
        list(source.read(LedgerRange(139, 140)))
    check = LakeCheck(store, guard)
    assert [fault for file in check.ledgers(check.names()) for fault in file.faults] == []
    assert not store.put(".config.json", b"", {})


def test_a_lake_in_google_cloud_is_read(
    fake_gcs: Gcs, ledgers: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where no credentials are
    fake_gcs.bucket("lake")
    layout = Layout(1, 16)
    fake_gcs.put("lake", "pubnet/.config.json", manifest(layout, SYNTHETIC))
    for ledger, meta in enumerate(ledgers, 100):
        fake_gcs.put("lake", f"pubnet/{layout.key(ledger)}", packed([meta]))
    source = LakeSource("gs://lake/pubnet", LakeOptions(endpoint=fake_gcs.endpoint))
    assert str(source.available()) == "100:139"
    assert source.network() == SYNTHETIC
    assert [chunk.first for chunk in source.read(LedgerRange(105, 131))] == list(range(105, 132))
