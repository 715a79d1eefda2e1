from __future__ import annotations

import json
import os
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from stellarrow.telemetry.health import Check
from stellarrow.telemetry.machine import Machine


def samples(machine: Machine) -> dict[str, float]:
    families = text_string_to_metric_families(machine.text().decode())
    return {
        one.name + (json.dumps(one.labels) if one.labels else ""): one.value
        for family in families
        for one in family.samples
    }


def test_it_says_what_runs_and_how_each_part_is() -> None:
    found = samples(Machine("1.2.3", lambda: [Check("source", True), Check("spool", False)]))
    assert found['stellarrow_build_info{"version": "1.2.3"}'] == 1
    assert found['component_healthy{"name": "source"}'] == 1
    assert found['component_healthy{"name": "spool"}'] == 0


def test_it_says_how_much_memory_is_taken_of_how_much() -> None:
    found = samples(Machine("1", list))
    assert 0 < found["process_resident_memory_bytes"] < found["memory_limit_bytes"]


def test_it_says_how_full_the_disk_of_the_state_folder_is(tmp_path: Path) -> None:
    found = samples(Machine("1", list, state_dir=tmp_path))
    assert found["state_disk_size_bytes"] == os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
    assert 0 < found["state_disk_free_bytes"] <= found["state_disk_size_bytes"]


def test_a_state_folder_that_is_not_there_yet_is_left_out(tmp_path: Path) -> None:
    assert "state_disk_size_bytes" not in samples(Machine("1", list, state_dir=tmp_path / "later"))


def test_dead_letters_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "dead-letters"
    folder.mkdir()
    for name in ("1.json", "1.xdr", "2.json", "2.xdr"):
        (folder / name).touch()
    assert samples(Machine("1", list, state_dir=tmp_path))["dead_letters"] == 2


def test_it_says_when_the_certificate_ends_where_there_is_one() -> None:
    name = "tls_certificate_expires_timestamp_seconds"
    assert samples(Machine("1", list, expires_at=lambda: 4e9))[name] == 4e9
    assert name not in samples(Machine("1", list, expires_at=lambda: None))
