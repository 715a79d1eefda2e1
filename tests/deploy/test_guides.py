"""The guides of deploying and releasing name files, values and targets that are there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from deploy.composed import environment_of

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "stellarrow"
GUIDES = ("deploying", "releasing", "from_the_older_family", "tutorial")


def text_of(guide: str) -> str:
    return (ROOT / "docs" / f"{guide}.md").read_text()


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Merge values as helm does: dictionaries by key, all else as a whole."""
    made = dict(below)
    for key, value in above.items():
        held = made.get(key)
        made[key] = merged(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return made


def test_every_file_and_folder_below_deploy_that_a_guide_names_is_there() -> None:
    named = {path for guide in GUIDES for path in re.findall(r"\bdeploy/[\w./-]*\w", text_of(guide))}
    assert len(named) > 5
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_target_of_make_that_a_guide_names_is_there() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for guide in GUIDES for target in re.findall(r"`make ([\w-]+)`", text_of(guide))}
    assert named
    assert named <= targets


def test_the_values_in_the_guide_fit_the_charts_schema() -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", text_of("deploying"), re.DOTALL | re.MULTILINE)
    own = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.validate(merged(own, yaml.safe_load(block)), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(merged(own, {"components": {"consumer": {"enabled": "maybe"}}}), schema)


def test_every_value_that_a_line_of_the_guide_sets_is_one_of_the_charts() -> None:
    own = yaml.safe_load((CHART / "values.yaml").read_text())
    keys = re.findall(r"--set ([\w.]+)=", text_of("deploying"))
    assert keys
    for key in keys:
        held = own
        for part in key.split("."):
            assert part in held, key
            held = held[part]


def test_the_ports_of_the_guide_are_those_that_compose_publishes() -> None:
    published = {
        port.split(":")[-2]
        for service in yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"].values()
        for port in service.get("ports", ())
    }
    named = set(re.findall(r"http://localhost:(\d+)", text_of("deploying")))
    assert len(named) == 3
    assert named <= published


def test_an_environment_file_leaves_out_no_choice_and_no_password_of_ours_goes_to_pubnet() -> None:
    demo = environment_of(ROOT / "deploy" / "demo.env")
    pubnet = environment_of(ROOT / "deploy" / "pubnet.env")
    assert {"NETWORK_PASSPHRASE", "SOURCE", "START_LEDGER", "DB_PASSWORD"} <= set(demo) & set(pubnet)
    assert pubnet["DB_PASSWORD"] == ""
