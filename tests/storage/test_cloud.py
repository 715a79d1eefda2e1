from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fakes.versitygw import Bucket
from stellarrow import ConfigError, LedgerRange, SourceError
from stellarrow.sources.lake import LakeSource
from stellarrow.storage.opening import open_store
from stellarrow.storage.store import Store, StoreOptions


class Trap:
    """Stands where a client believes its way out of the machine to be, and notes who calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        calls = self.calls

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def _note(self) -> None:
                calls.append(self.path)
                self.send_error(404)

            do_GET = do_PUT = do_POST = do_HEAD = do_CONNECT = _note  # noqa: N815

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def trap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Trap]:
    """Catches what leaves the machine over HTTP, such as calls to 169.254.169.254."""
    caught = Trap()
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{caught.server.server_port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    yield caught
    caught.server.shutdown()
    caught.server.server_close()


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_nobody_asks_the_metadata_address_of_cloud_machines(bucket: Bucket, trap: Trap, scheme: str) -> None:
    store = open_store(f"{scheme}://{bucket.name}/lake", StoreOptions(endpoint=bucket.server.endpoint))
    for work in (lambda: store.get("x"), store.page, store.folders, lambda: store.put("x", b"", {})):
        with pytest.raises(Exception, match=bucket.name):
            work()
    assert trap.calls == []


def test_a_client_left_alone_would_ask_it(bucket: Bucket, trap: Trap) -> None:
    code = f"""
from obstore.store import S3Store
store = S3Store({bucket.name!r}, endpoint={bucket.server.endpoint!r}, client_options={{"allow_http": True}},
                retry_config={{"max_retries": 0}})
store.get("x")
"""
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert any("169.254.169.254" in path for path in trap.calls)


def test_keys_come_in_the_order_of_their_bytes(bucket: Bucket, tmp_path: Path) -> None:
    keys = [".config.json", "FFF--0-3/a", "FFF--0-3/b", "FFF--0-3.x", "a/b/c", "a/b.d", "b"]
    for root in (bucket.folder / "in", tmp_path / "in"):
        for key in keys:
            (root / key).parent.mkdir(parents=True, exist_ok=True)
            (root / key).write_bytes(key.encode())
    stores: list[Store] = [open_store(f"s3://{bucket.name}/in"), open_store(str(tmp_path / "in"))]
    for store in stores:
        assert store.page() == [(key, len(key)) for key in sorted(keys)]
        assert [key for key, _ in store.page(after="FFF--0-3/a")] == ["FFF--0-3/b", "a/b.d", "a/b/c", "b"]
        assert [key for key, _ in store.page("a/", after="a/b.d")] == ["a/b/c"]
        assert store.page("nothing/") == []
        assert store.folders() == ["FFF--0-3", "a"]
        assert store.get("a/b/c") == b"a/b/c"
        assert store.get("a/b/d") is None
        assert store.metadata("a/b/d") == {}


def test_more_keys_than_a_page_are_told_page_by_page(bucket: Bucket) -> None:
    for number in range(1_200):
        (bucket.folder / f"{number:04}").write_bytes(b"")
    store = open_store(f"s3://{bucket.name}")
    first = store.page()
    rest = store.page(after=first[-1][0])
    assert [key for key, _ in first + rest] == [f"{number:04}" for number in range(1_200)]
    assert store.page(after="1199") == []


def test_an_object_is_kept_once(bucket: Bucket, tmp_path: Path) -> None:
    for store in (open_store(f"s3://{bucket.name}"), open_store(str(tmp_path / "once"))):
        assert store.put("a/b", b"first", {"who": "one"})
        assert not store.put("a/b", b"second", {"who": "two"})
        assert store.get("a/b") == b"first"


def test_a_private_bucket_says_what_to_set(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(SourceError, match=r"is missing, or not allowed: .* no credentials were found"):
        open_store(f"s3://{bucket.name}").page()


def test_azure_without_an_account_is_told_which_setting_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(ConfigError, match=r"az://container cannot be opened: .*[Aa]ccount"):
        open_store("az://container")


def test_a_lake_below_a_web_address_is_read_without_being_listed(make_lake: Callable[..., Path]) -> None:
    lake = make_lake()
    web = ThreadingHTTPServer(("127.0.0.1", 0), _files(lake))
    threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True).start()
    source = LakeSource(f"http://127.0.0.1:{web.server_port}/lake")
    assert [chunk.first for chunk in source.read(LedgerRange(105, 120))] == list(range(105, 121))
    assert str(source.network()) == "synthetic"
    with pytest.raises(SourceError, match="cannot tell what it holds: say which ledgers"):
        source.available()
    with pytest.raises(SourceError, match=r"ledger 140 is not in http://127.0.0.1:\d+/lake: ask for less"):
        list(source.read(LedgerRange(139, 141)))
    next(lake.rglob("*--120.xdr.zst")).unlink()
    with pytest.raises(SourceError, match="ledger 120 is missing"):
        list(source.read(LedgerRange(119, 125)))
    web.shutdown()
    web.server_close()


def _files(lake: Path) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            path = lake.parent / self.path.lstrip("/")
            found = path.is_file()
            body = path.read_bytes() if found else b"<html>Not found</html>"
            self.send_response(200 if found else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def test_without_its_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "stellarrow.storage.object_store", raising=False)
    told = r"needs obstore, which is not installed: pip install 'stellarrow\[lake\]'"
    with pytest.raises(ConfigError, match=told):
        open_store("s3://bucket")
