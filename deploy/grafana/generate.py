"""Write the dashboards beside this file: python deploy/grafana/generate.py [--check].

What is on them stands in `dashboards.py`; --check only says whether the files are what it makes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Final

from dashboards import DASHBOARDS, Dashboard, Panel

HERE: Final = Path(__file__).parent
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_SCHEMA: Final = 39  # of Grafana 11, which newer ones take
_WIDTH: Final = 24  # of Grafana's grid
_VARIABLES: Final = (
    {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
    {
        "name": "instance",
        "label": "Instance",
        "type": "query",
        "datasource": _SOURCE,
        "query": 'label_values(up{job=~"stellarrow.*"}, instance)',
        "refresh": 2,  # when the time range changes
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    },
)


def main() -> int:
    stale = [one.uid for one in DASHBOARDS if _read(one.uid) != built(one)]
    if "--check" in sys.argv:
        if stale:
            print(f"{', '.join(stale)}: not what dashboards.py makes: run generate.py", file=sys.stderr)
        return int(bool(stale))
    for one in DASHBOARDS:
        (HERE / f"{one.uid}.json").write_text(built(one))
    return 0


def built(one: Dashboard) -> str:
    """Return a dashboard as Grafana imports it."""
    made = {
        "uid": one.uid,
        "title": one.title,
        "description": one.summary,
        "tags": ["stellarrow"],
        "schemaVersion": _SCHEMA,
        "timezone": "utc",
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": _VARIABLES},
        "panels": [{"id": number, **panel} for number, panel in enumerate(_panels(one), 1)],
    }
    return json.dumps(made, indent=1) + "\n"


def _read(uid: str) -> str:
    path = HERE / f"{uid}.json"
    return path.read_text() if path.is_file() else ""


def _panels(one: Dashboard) -> Iterator[dict[str, Any]]:
    down = 0
    for title, panels in one.rows.items():
        yield {"type": "row", "title": title, "gridPos": {"x": 0, "y": down, "w": _WIDTH, "h": 1}}
        down += 1
        width, height = _WIDTH // len(panels), max(4 if panel.is_number else 8 for panel in panels)
        for place, panel in enumerate(panels):
            yield _panel(panel) | {"gridPos": {"x": place * width, "y": down, "w": width, "h": height}}
        down += height


def _panel(panel: Panel) -> dict[str, Any]:
    queries = zip(ascii_uppercase, panel.queries.items(), strict=False)
    return {
        "type": "stat" if panel.is_number else "timeseries",
        "title": panel.title,
        "description": panel.summary,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": {} if panel.is_number else {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {"refId": letter, "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
            for letter, (legend, expression) in queries
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
