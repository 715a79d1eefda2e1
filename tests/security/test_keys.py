"""API keys: how they are made and kept, and from where they admit."""

from __future__ import annotations

import re
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from stellarrow.security.api_keys import ApiKey, make_text, read_text
from stellarrow.security.key_store import KeyStore
from stellarrow.services.secured import bootstrap


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KeyStore]:
    with closing(KeyStore(tmp_path / "state" / "api_keys.sqlite3")) as made:
        yield made


def test_a_key_is_written_as_the_contract_says_and_is_never_the_same() -> None:
    public, text = make_text()
    assert re.fullmatch(r"stlr_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}[0-9A-Za-z]{6}", text)
    assert (read_text(text), len({make_text()[1] for _ in range(100)})) == (public, 100)


def test_a_mistyped_key_is_seen_by_its_checksum() -> None:
    _, text = make_text()
    for at in range(5, len(text)):
        changed = text[:at] + ("a" if text[at] != "a" else "b") + text[at + 1 :]
        assert read_text(changed) is None


def test_the_store_keeps_no_secret_and_is_for_its_user_alone(store: KeyStore) -> None:
    _, text = store.create("one", ["reader"], created_by="me", description="a dashboard")
    store.rotate("one", overlap=60)
    held = b"".join(path.read_bytes() for path in store.path.parent.iterdir())
    assert text.encode() not in held
    assert text[14:40].encode() not in held
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def test_a_store_that_others_may_read_is_closed_to_them_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "api_keys.sqlite3"
    KeyStore(path).close()
    path.chmod(0o644)
    KeyStore(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_row_that_was_changed_by_hand_admits_nobody(store: KeyStore) -> None:
    store.create("one", ["reader"], created_by="me")
    with sqlite3.connect(store.path) as database:
        (document,) = database.execute("select document from api_keys").fetchone()
        database.execute("update api_keys set document = ?", (document.replace("reader", "admin"),))
    time.sleep(0.2)
    assert (store.damaged, store.entries()) == (("one",), [])
    with pytest.raises(sa.UnknownApiKey):
        store.get("one")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "api_keys.sqlite3"
    path.write_bytes(b"not a database, certainly not" * 100)
    with pytest.raises(sa.Damaged, match=r"api_keys\.sqlite3 is damaged"):
        KeyStore(path)


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"key_id": "../x"}, "is no name of a key"),
        ({"key_id": "a\0b"}, "is no name of a key"),
        ({"key_id": "x" * 65}, "is no name of a key"),
        ({"roles": ["root"]}, "'root' is no role: choose among admin, reader, processor"),
        ({"roles": []}, "a key needs a role"),
        ({"expires_at": 1.0}, "would have expired already"),
        ({"allowed_networks": ["10.0.0.0/99"]}, "write address ranges as"),
        ({"description": "two\nlines"}, "one line"),
    ],
)
def test_what_cannot_be_meant_is_refused(store: KeyStore, choices: dict[str, Any], told: str) -> None:
    with pytest.raises(sa.ConfigError, match=told):
        store.create(**{"key_id": "one", "roles": ["reader"], "created_by": "me", **choices})
    assert store.entries() == []


def test_a_name_is_taken_until_its_key_is_revoked(store: KeyStore) -> None:
    store.create("one", ["reader"], created_by="me")
    with pytest.raises(sa.ApiKeyExists):
        store.create("one", ["reader"], created_by="me")
    store.revoke("one")
    with pytest.raises(sa.UnknownApiKey):
        store.revoke("one")
    store.create("one", ["processor"], created_by="me")
    assert store.get("one").roles == ("processor",)


def test_many_threads_and_two_stores_lose_no_change(store: KeyStore) -> None:
    def make(number: int) -> None:
        with closing(KeyStore(store.path)) as other:
            for one in (store, other):
                one.create(f"key-{number}-{one is store}", ["reader"], created_by="me")

    threads = [threading.Thread(target=make, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(0.2)
    assert len(store.entries()) == 12


def test_a_process_killed_while_it_makes_keys_leaves_a_whole_store(tmp_path: Path) -> None:
    path = tmp_path / "api_keys.sqlite3"
    code = (
        "import sys; from pathlib import Path; from stellarrow.security.key_store import KeyStore\n"
        "store = KeyStore(Path(sys.argv[1]))\n"
        "for at in range(10_000):\n"
        "    store.create(f'key-{at}', ['reader'], created_by='me'); print(at, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    said = [int(process.stdout.readline()) for _ in range(20)]
    process.kill()
    process.communicate()
    with closing(KeyStore(path)) as again:
        assert {f"key-{at}" for at in said} <= {key.key_id for key in again.entries()}
        assert again.damaged == ()


def test_the_first_admin_key_comes_from_a_file_or_is_written_there(store: KeyStore, tmp_path: Path) -> None:
    path = tmp_path / "secret" / "admin"
    bootstrap(store, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    public = read_text(path.read_text().strip())
    assert public
    assert store.find(public)
    bootstrap(store, path)
    store.revoke("bootstrap-admin")
    bootstrap(store, path)
    assert [(key.key_id, key.state()) for key in store.entries()] == [("bootstrap-admin", "revoked")]


def test_a_file_with_something_else_is_no_admin_key(store: KeyStore, tmp_path: Path) -> None:
    path = tmp_path / "admin"
    path.write_text("hunter2")
    with pytest.raises(sa.ConfigError, match="is no API key"):
        bootstrap(store, path)


def test_a_key_admits_from_its_networks_alone() -> None:
    key = ApiKey(
        key_id="x", roles=(), created_at=0, created_by="", allowed_networks=("10.0.0.0/8", "fd00::/8")
    )
    where = {
        "10.1.2.3": True,
        "::ffff:10.1.2.3": True,
        "11.0.0.1": False,
        "fd01::1": True,
        "": False,
        "x": False,
    }
    assert {address: key.admits(address) for address in where} == where


def test_the_first_key_is_not_looked_for_in_a_file_without_an_end(tmp_path: Path) -> None:
    with (
        closing(KeyStore(tmp_path / "keys.sqlite3")) as store,
        pytest.raises(sa.ConfigError, match="too large"),
    ):
        bootstrap(store, Path("/dev/zero"))
