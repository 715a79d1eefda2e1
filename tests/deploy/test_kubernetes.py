"""The chart and the overlay: valid manifests, restricted pods, names that the older family's clients know."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deploy.tools import tool
from stellarrow.config import SERVICES
from stellarrow.config import read as read_settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "stellarrow"
OVERLAY = ROOT / "deploy" / "kustomize" / "overlays" / "obsrvr-stellar"
BASE = ROOT / "deploy" / "kustomize" / "base" / "stellarrow.yaml"
VALUES = [None, *sorted((CHART / "ci").glob("*.yaml"))]
KUBERNETES = ("1.29", "1.37")
SECONDS = 120


def documents(text: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(text) if one]


def check(every: list[dict[str, Any]]) -> None:
    """Check manifests strictly against Kubernetes' own schemas; a ServiceMonitor is of the operator."""
    assert every
    for one in every:
        if one["apiVersion"] != "monitoring.coreos.com/v1":
            for version in KUBERNETES:
                kubernetes_validate.validate(one, version, strict=True)


def pods(every: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in every:
        if one["kind"] in ("StatefulSet", "Job"):
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]


def is_restricted(pod: dict[str, Any]) -> bool:
    """Tell whether a pod keeps to the Pod Security Standard `restricted`, with a root that is read-only."""
    security = pod["securityContext"]
    return (
        security["runAsNonRoot"]
        and security["runAsUser"] == 65532
        and security["seccompProfile"] == {"type": "RuntimeDefault"}
        and not pod["automountServiceAccountToken"]
        and all(
            one["securityContext"]
            == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            for one in pod["containers"]
        )
    )


def rendered(*words: str | Path, release: str = "stellarrow") -> str:
    argv = [tool("helm"), "template", release, CHART, *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_rendered_base_is_valid_and_its_pods_are_restricted() -> None:
    every = documents(BASE.read_text())
    check(every)
    found = dict(pods(every))
    assert set(found) == {
        "stellar-arrow-source",
        "ttp-arrow-processor",
        "postgresql-consumer",
        "arrow-analytics-sink",
    }
    assert [name for name, pod in found.items() if not is_restricted(pod)] == []


def test_every_workload_has_probes_a_volume_a_disruption_budget_and_a_policy() -> None:
    every = documents(BASE.read_text())
    by_kind: dict[str, set[str]] = {}
    for one in every:
        by_kind.setdefault(one["kind"], set()).add(one["metadata"]["name"])
    names = by_kind["StatefulSet"]
    assert by_kind["PodDisruptionBudget"] == by_kind["NetworkPolicy"] == names
    assert names <= by_kind["Service"]
    for one in (one for one in every if one["kind"] == "StatefulSet"):
        (container,) = one["spec"]["template"]["spec"]["containers"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)
        assert one["spec"]["volumeClaimTemplates"][0]["metadata"]["name"] == "state"
        assert one["spec"]["serviceName"] in by_kind["Service"]


def test_pods_are_told_only_settings_that_exist_and_secrets_by_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    for name, pod in pods(documents(BASE.read_text())):
        (container,) = pod["containers"]
        section = {"sink": "consumer"}.get(container["args"][0], container["args"][0])
        environ = {one["name"]: one["value"] for one in container["env"]}
        files = {one for one in environ if one.endswith("_FILE")}
        environ |= dict.fromkeys(files, str(secret))
        settings = read_settings(SERVICES[section], environ=environ)
        assert {origin.split()[0] for origin in settings.origins.values()} == {*environ}, name
        assert "PASSWORD" not in "".join(set(environ) - files)


# What clients of the older family know, by workload; docs/deploying.md has them too.
PORTS = {
    "stellar-arrow-source": {"grpc": 50053, "flight": 8815, "http": 8088},
    "ttp-arrow-processor": {"grpc": 50054, "flight": 8816, "http": 8089},
    "postgresql-consumer": {"http": 9090},
    "arrow-analytics-sink": {"websocket": 8080, "rest": 8081, "flight": 8817, "http": 8088},
}


def test_every_port_is_told_to_the_program_opened_by_the_pod_served_and_let_through() -> None:
    every = documents(BASE.read_text())
    by_kind = {(one["kind"], one["metadata"]["name"]): one for one in every}
    for name, ports in PORTS.items():
        (container,) = by_kind["StatefulSet", name]["spec"]["template"]["spec"]["containers"]
        assert {one["name"]: one["containerPort"] for one in container["ports"]} == ports
        listens = {one["value"] for one in container["env"] if one["value"].startswith("0.0.0.0:")}
        assert listens == {f"0.0.0.0:{port}" for port in ports.values()}
        served = by_kind["Service", name]["spec"]["ports"]
        assert {one["name"]: (one["port"], one["targetPort"]) for one in served} == {
            port: (number, port) for port, number in ports.items()
        }
        family, monitoring = by_kind["NetworkPolicy", name]["spec"]["ingress"]
        assert {one["port"] for one in family["ports"]} == {*ports}
        assert [one["port"] for one in monitoring["ports"]] == ["http"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] == "http"


def test_endpoints_name_services_that_are_there_and_their_ports() -> None:
    every = documents(BASE.read_text())
    served = {
        f"{one['metadata']['name']}:{port['port']}"
        for one in every
        if one["kind"] == "Service"
        for port in one["spec"]["ports"]
    }
    called = {
        variable["value"]
        for _, pod in pods(every)
        for variable in pod["containers"][0]["env"]
        if variable["name"].endswith("_ENDPOINT")
    }
    assert len(called) == 2
    assert called <= served


def test_the_chart_is_of_the_version_that_cargo_has() -> None:
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == version
    overlay = yaml.safe_load((OVERLAY / "kustomization.yaml").read_text())
    assert overlay["images"] == [{"name": "stellarrow", "newTag": version}]
    assert f"stellarrow:{version}" in BASE.read_text()


def test_the_overlay_is_the_namespace_of_the_older_family_and_enforces_restricted_pods() -> None:
    overlay = yaml.safe_load((OVERLAY / "kustomization.yaml").read_text())
    namespace = yaml.safe_load((OVERLAY / "namespace.yaml").read_text())
    assert overlay["namespace"] == namespace["metadata"]["name"] == "obsrvr-stellar"
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for resource in overlay["resources"]:
        assert (OVERLAY / resource).exists()
    check([namespace])


def test_the_schema_of_values_takes_ours_and_refuses_what_cannot_be_meant() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    own = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema.validate(own, schema)
    for wrong in (
        {"netwrok": "pubnet"},
        {"logLevel": "loud"},
        {"components": {"processor": {**own["components"]["processor"], "replicas": 2}}},
        {"backfill": {"secrets": [{"variable": "token", "secret": "a", "key": "b"}]}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**own, **wrong}, schema)


@pytest.mark.slow
@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem if path else "default")
def test_helm_finds_nothing_wrong_and_what_it_renders_is_valid(values: Path | None) -> None:
    words: list[str | Path] = ["--values", values] if values else []
    argv = [tool("helm"), "lint", "--strict", CHART, *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    every = documents(rendered(*words))
    check(every)
    assert [name for name, pod in pods(every) if not is_restricted(pod)] == []


@pytest.mark.slow
def test_everything_at_once_has_autoscalers_monitors_and_a_job_with_an_index() -> None:
    every = documents(rendered("--values", CHART / "ci" / "everything-values.yaml"))
    kinds = [one["kind"] for one in every]
    assert (kinds.count("HorizontalPodAutoscaler"), kinds.count("ServiceMonitor")) == (2, 4)
    for one in every:
        if one["kind"] == "ServiceMonitor":
            assert [(at["port"], at["path"]) for at in one["spec"]["endpoints"]] == [("http", "/metrics")]
    (job,) = (one for one in every if one["kind"] == "Job")
    assert job["spec"]["completionMode"] == "Indexed"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    script = container["args"][0].replace("exec stellarrow", "echo")
    environ = {one["name"]: one["value"] for one in container["env"]} | {"JOB_COMPLETION_INDEX": "2"}
    done = subprocess.run(["/bin/sh", "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith(f"--ledgers 58752000:+{8 * 64_000} --shard 2/8")


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["security.insecure=false", "backfill.enabled=true"])
def test_a_choice_that_is_missing_is_told_with_what_to_do(missing: str) -> None:
    done = subprocess.run(
        [tool("helm"), "template", "stellarrow", CHART, "--set", missing],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode != 0
    assert "set security.tlsSecret" in done.stderr or "set backfill.to" in done.stderr


@pytest.mark.slow
def test_the_base_is_what_the_chart_renders() -> None:
    header, _, kept = BASE.read_text().partition("\n")
    assert header.startswith("# Rendered from")
    assert rendered("--values", CHART / "ci" / "obsrvr-values.yaml") == kept, "run deploy/kustomize/render.sh"


@pytest.mark.slow
def test_kustomize_puts_all_of_it_into_the_namespace() -> None:
    done = subprocess.run(
        [tool("kustomize"), "build", OVERLAY], capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    every = documents(done.stdout)
    check(every)
    placed = {one["metadata"].get("namespace") for one in every if one["kind"] != "Namespace"}
    assert placed == {"obsrvr-stellar"}


@pytest.mark.slow
def test_a_release_for_each_network_shares_no_name_with_the_other() -> None:
    values = CHART / "ci" / "everything-values.yaml"
    made = [
        documents(rendered("--values", values, "--set", f"network={network}", release=network))
        for network in ("pubnet", "testnet")
    ]
    names = [{(one["kind"], one["metadata"]["name"]) for one in every} for every in made]
    assert len(names[0]) > 5
    assert not names[0] & names[1]
    for network, every in zip(("pubnet", "testnet"), made, strict=True):
        told = [
            variable["value"]
            for _, pod in pods(every)
            for container in pod["containers"]
            for variable in container.get("env", ())
            if variable["name"] == "NETWORK_PASSPHRASE" or variable["name"].endswith("_ENDPOINT")
        ]
        assert network in told
        assert not [one for one in told if ("testnet" if network == "pubnet" else "pubnet") in one]
