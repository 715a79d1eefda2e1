"""Tests of the NATS sink are left out where its client is not installed; `make build` installs it."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("nats") and find_spec("nkeys") else ["test_*.py"]
