"""Alerts and dashboards ask for what services tell, in expressions that Prometheus takes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.process import program
from stellarrow.consumer.stats import ConsumerMetrics
from stellarrow.telemetry.machine import Machine
from stellarrow.telemetry.metrics import Metrics

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana").glob("*.json"))
_FUNCTIONS = {"sum", "count", "max", "rate", "increase", "delta", "histogram_quantile", "time", "vector"}
_WORDS = {*_FUNCTIONS, "by", "or", "unless", "le"}


def told() -> set[str]:
    """Return the names of what services tell, and of what Prometheus tells of them."""
    common = Metrics()
    ConsumerMetrics(common)
    texts = [common.text(), Machine("1", list, state_dir=ROOT, expires_at=lambda: 1.0).text()]
    families = re.findall(r"^# TYPE (\w+) (\w+)$", b"".join(texts).decode(), re.MULTILINE)
    histograms = [name for name, kind in families if kind == "histogram"]
    parts = {f"{name}{end}" for name in histograms for end in ("_bucket", "_count", "_sum")}
    return {"up", *(name for name, _ in families)} | parts


def asked(expression: str) -> set[str]:
    """Return the metrics that an expression names."""
    without = re.sub(r"\{[^}]*\}|\[[^]]*\]|\bby \([^)]*\)", " ", expression)
    return set(re.findall(r"[a-z_]{2,}", without)) - _WORDS


def alerts() -> dict[str, str]:
    found = re.findall(r"- alert: (\w+)\n +expr: (.*?)\n +(?:for|labels): ", ALERTS.read_text(), re.DOTALL)
    return dict(found)


def queries() -> Iterator[tuple[str, str]]:
    for path in DASHBOARDS:
        page: dict[str, Any] = json.loads(path.read_text())
        for panel in page["panels"]:
            for target in panel.get("targets", ()):
                yield f"{path.stem}: {panel['title']}", target["expr"]


def test_every_alert_asks_for_what_services_tell() -> None:
    assert len(alerts()) == ALERTS.read_text().count("- alert: ") > 15
    names = told()
    assert {alert: asked(text) - names for alert, text in alerts().items() if asked(text) - names} == {}


def test_every_panel_asks_for_what_services_tell() -> None:
    names = told()
    assert {where: asked(text) - names for where, text in queries() if asked(text) - names} == {}
    assert len(dict(queries())) > 30


# What the older family's runbooks ask to be woken for, and the expressions' limits.
ASKED = {
    "health checks fail": ("StellarrowUnhealthy", "component_healthy == 0"),
    "a circuit breaker is open": ("StellarrowCircuitBreakerOpen", "circuit_breaker_state == 1"),
    "more than 5 % errors in 5 minutes": ("StellarrowErrorRate", "[5m])) > 0.05"),
    "memory over 80 %": ("StellarrowMemory", "> 0.8"),
    "disk over 90 %": ("StellarrowDisk", "> 0.9"),
    "authentication fails": ("StellarrowAuthenticationFailures", 'status="failure"'),
    "latency over 30 s": ("StellarrowLag", "> 30"),
    "fewer than 80 % of batches complete": ("StellarrowBatchesFail", "< 0.8"),
    "more than 1 % of exports fail": ("StellarrowExportsFail", "> 0.01"),
    "connections fail": ("StellarrowConnectionsFail", "reconnections_total"),
    "nothing becomes durable": ("StellarrowNothingDurable", "ledgers_processed_total"),
    "ledgers are missing": ("StellarrowLedgersMissing", "missing_ledgers > 0"),
    "dead letters grow": ("StellarrowLedgersQuarantined", "dead_letters"),
    "a certificate expires": ("StellarrowCertificateExpires", "14 * 86400"),
}


@pytest.mark.parametrize("what", ASKED)
def test_what_must_wake_somebody_has_an_alert_a_unit_test_and_a_runbook(what: str) -> None:
    name, limit = ASKED[what]
    assert limit in alerts()[name]
    tried = (ALERTS.parent / "alerts.test.yaml").read_text()
    expected = re.findall(rf"alertname: {name}\n +exp_alerts:(.*)$", tried, re.MULTILINE)
    assert len(expected) >= 2, "one that fires, one that does not"
    assert {one.strip() == "[]" for one in expected} == {True, False}
    assert f"docs/runbooks.md#{name.lower()}\n" in ALERTS.read_text()
    assert f"## {name}\n" in (ROOT / "docs" / "runbooks.md").read_text()


def test_every_alert_has_its_runbook() -> None:
    page = (ROOT / "docs" / "runbooks.md").read_text()
    headings = set(re.findall(r"^## (\w+)$", page, re.MULTILINE))
    assert headings == set(alerts())
    links = re.findall(r"runbook: docs/runbooks.md#(\w+)", ALERTS.read_text())
    assert links == [alert.lower() for alert in alerts()]


def test_each_alert_fires_for_what_it_is_about_and_not_for_what_is_normal() -> None:
    tests = ALERTS.with_name("alerts.test.yaml")
    assert tests.read_text().count(" fires\n") == tests.read_text().count(" is quiet\n") == len(alerts())
    argv: list[str | Path] = [program("promtool"), "test", "rules", tests.name]
    done = subprocess.run(argv, cwd=tests.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_every_expression_of_the_dashboards(tmp_path: Path) -> None:
    rules = [
        {
            "record": f"panel:{number}",
            "expr": text.replace("$__rate_interval", "5m").replace("$instance", ".*"),
        }
        for number, (_, text) in enumerate(queries())
    ]
    (tmp_path / "rules.json").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    argv: list[str | Path] = [program("promtool"), "check", "rules", tmp_path / "rules.json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboards_are_what_their_code_makes() -> None:
    script = ROOT / "deploy" / "grafana" / "generate.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_no_panel_lies_over_another(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(path.read_text())["panels"]:
        place = panel["gridPos"]
        fields = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not fields & taken
        assert place["x"] + place["w"] <= 24
        taken |= fields
