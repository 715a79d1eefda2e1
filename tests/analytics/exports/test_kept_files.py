"""The files of exports: downloaded by who ordered them, over restarts, and by nobody else."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analytics.conftest import Serve, Served
from analytics.exports.ordering import content, ended, made, ordered
from stellarrow.security.key_store import FILE, KeyStore

Oracle = Callable[[str], list[tuple[Any, ...]]]


def test_a_download_goes_on_where_it_was_cut_off(served: Served) -> None:
    job = made(served, table="ledgers", format="parquet")
    (data,) = content(served, job)
    rest = served.client.get(job["files"][0]["path"], headers={"range": "bytes=100-"})
    assert (rest.status_code, rest.content) == (206, data[100:])
    assert rest.headers["etag"].strip('"') == job["files"][0]["sha256"]


def test_a_file_that_was_exchanged_for_a_link_is_not_followed(
    served: Served, state: Path, tmp_path: Path
) -> None:
    job = made(served, table="ledgers")
    secret = tmp_path / "secret"
    (file,) = (state / "exports" / job["id"]).glob("ledgers-*")
    secret.write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(secret)
    answer = served.get(job["files"][0]["path"])
    assert answer.status_code == 500
    assert "is not what was written" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["export.json", "../export.json", "..%2f..%2fkeys.db", "%2fetc%2fpasswd"])
def test_nothing_but_an_exports_own_files_is_downloaded(served: Served, name: str) -> None:
    job = made(served, table="ledgers")
    assert served.get(f"/v1/exports/{job['id']}/files/{name}").status_code == 404


def test_links_and_strangers_in_the_folder_are_no_exports(
    serve: Serve, real_data: Path, tmp_path: Path
) -> None:
    served = serve(data=real_data)
    job = made(served, table="ledgers")
    served.close()
    folder = tmp_path / "state/exports"
    elsewhere = tmp_path / "elsewhere"
    (folder / job["id"]).rename(elsewhere)
    (folder / job["id"]).symlink_to(elsewhere)
    (folder / "notes").mkdir()
    (folder / ("0" * 32)).mkdir()
    (folder / ("0" * 32) / "export.json").write_text('{"id": "' + "0" * 32 + '", "files": 7}')
    served = serve(data=real_data)
    assert served.get("/v1/exports").json() == {"exports": []}
    assert (elsewhere / "export.json").exists()
    assert (folder / "notes").exists()
    assert not (folder / ("0" * 32)).exists(), "a damaged one is removed, so that its disk is free"


def test_an_export_outlives_a_restart(serve: Serve, real_data: Path) -> None:
    first = serve(data=real_data)
    job = made(first, table="ledgers")
    first.close()
    second = serve(data=real_data)
    assert second.get(f"/v1/exports/{job['id']}").json() == job
    content(second, job)


def test_one_process_at_a_time_has_the_folder(serve: Serve, real_data: Path) -> None:
    first, second = serve(data=real_data), serve(data=real_data)
    job = made(first, table="ledgers")
    answer = second.get("/v1/exports")
    assert answer.status_code == 503
    assert "EXPORT_PATH" in answer.json()["detail"]
    first.close()
    assert second.get(f"/v1/exports/{job['id']}").json()["state"] == "done"


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KB."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(made, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here: run the tests as root to try full disks")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607


def test_a_full_disk_fails_the_export_and_leaves_nothing_of_it_halfway(
    serve: Serve, real_data: Path, full_disk: Path
) -> None:
    served = serve(data=real_data, export_path=full_disk / "exports")
    job = ended(served.client, ordered(served, table="token_transfers"))
    assert (job["state"], job["files"]) == ("failed", [])
    assert "No space left on device" in job["error"]
    assert str(full_disk) not in job["error"], "callers need not know the server's paths"
    assert 'error_type="OSError",format="ndjson"} 1.0' in served.get("/metrics").text
    folder = full_disk / "exports" / job["id"]
    assert {one.name for one in folder.iterdir()} <= {"export.json"}
    assert served.client.delete(f"/v1/exports/{job['id']}").status_code == 204
    made(served, table="ledgers", where="transaction_count < 0")


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "state").mkdir(mode=0o700)
    store = KeyStore(tmp_path / "state" / FILE)
    found = {
        name: store.create(name, [role], created_by="test")[1]
        for name, role in (("ann", "reader"), ("bob", "reader"), ("root", "admin"))
    }
    store.close()
    return found


def test_callers_see_their_own_exports_and_the_audit_log_says_what_they_did(
    serve: Serve, real_data: Path, tmp_path: Path, keys: dict[str, str]
) -> None:
    served = serve(data=real_data, auth="api_key", anonymous_role="reader", audit_log=tmp_path / "audit")

    def of(name: str) -> dict[str, Any]:
        return {"headers": {"authorization": f"Bearer {keys[name]}"}}

    order = {"format": "csv", "table": "ledgers"}
    answer = served.client.post("/v1/exports", json=order)
    assert answer.status_code == 401, "strangers may read, and take no disk"
    job = ended(served.client, served.client.post("/v1/exports", json=order, **of("ann")).json(), **of("ann"))
    path, file = f"/v1/exports/{job['id']}", job["files"][0]["path"]
    assert [one["id"] for one in served.client.get("/v1/exports", **of("ann")).json()["exports"]] == [
        job["id"]
    ]
    assert served.client.get("/v1/exports", **of("bob")).json() == {"exports": []}
    assert served.client.get("/v1/exports", **of("root")).json()["exports"] == [job]
    for one in (path, file):
        assert served.client.get(one, **of("bob")).status_code == 404
        assert served.client.get(one).status_code == 404
        assert served.client.get(one, **of("root")).status_code == 200
    assert served.client.delete(path, **of("bob")).status_code == 404
    assert served.client.get(file, **of("ann")).status_code == 200
    assert served.client.delete(path, **of("ann")).status_code == 204
    noted = [json.loads(one) for one in (tmp_path / "audit").read_text().splitlines()]
    told = [
        (one["event"], one["principal"], one["result"]) for one in noted if one["event"].startswith("export")
    ]
    assert ("export ordered", "ann", "ok") in told
    assert ("export downloaded", "ann", "ok") in told
    assert ("export deleted", "ann", "ok") in told
    assert any(event == "export deleted" and who == "bob" and "NotFound" in how for event, who, how in told)
    targets = {one["target"] for one in noted if one["event"].startswith("export") and one["result"] == "ok"}
    assert targets == {job["id"]}
