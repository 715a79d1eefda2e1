"""What doctor looks at before something serves others day and night: docs/production.md lists it."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from stellarrow import extras
from stellarrow.cli.diagnostics import Finding
from stellarrow.cli.output import formatting
from stellarrow.config import SERVICES, Listening, Settings, read
from stellarrow.errors import ConfigError, StellarrowError
from stellarrow.net.redaction import redacted_url

_SUBJECT: Final = "production"
_OPEN_FILES: Final = 4_096  # a connection, a segment and a file of a table take one each
_FREE: Final = 0.1  # of a disk; below it, an alert is sent
_OF_MEMORY: Final = 0.8  # of what the process may have; above it, an alert is sent
_FORGETTING: Final = frozenset(("tmpfs", "ramfs", "overlay"))
_MOUNTS: Final = Path("/proc/self/mountinfo")
_MEMORY_LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_DURABLE: Final = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


def production(file: Path | None, sinks: list[str]) -> Iterator[Finding]:
    """Look at each service that something was set of, at the machine, and at the databases."""
    found: list[Finding] = []
    services = _services(file)
    if not services:
        found.append(
            _look("no service is set up here: name its settings file with --config, or run where it is")
        )
    for name, settings in services.items():
        if isinstance(settings, Listening):
            found += _doors(name, settings)
        found += _logs(name, settings)
        found += _source(name, settings)
        found += _state(vars(settings))
        found += _memory(name, vars(settings))
    found += _open_files()
    for place in dict.fromkeys(sinks):
        if place.startswith(("postgres://", "postgresql://")):
            found += _database(place)
    unique = list(dict.fromkeys(found))
    yield from unique or [Finding(_SUBJECT, "ok", "nothing of the list in docs/production.md is left to do")]


def _services(file: Path | None) -> dict[str, Settings]:
    """Return the services that something was set of; wrong settings are told elsewhere."""
    known: dict[str, Settings] = {}
    for name, service in SERVICES.items():
        try:
            known[name] = read(service, file=file)
        except ConfigError:
            continue
    return {name: one for name, one in known.items() if one.origins}


def _doors(name: str, settings: Listening) -> Iterator[Finding]:
    if not settings.tls_certificate:
        yield _look(f"{name} speaks no TLS: set tls_certificate and tls_key, or have a proxy end it")
    if not settings.auth:
        yield _look(f"whoever reaches {name} may do all: set auth")
    elif settings.audit_log == "off":
        yield _look(f"{name} keeps no record of who did what: set audit_log")
    if settings.auth and not settings.rate_limit:
        yield _look(f"one caller may take all of {name}: set rate_limit, such as 100/s")
    if "*" in settings.cors_origins:
        yield _look(f"any web page may ask {name} in its reader's name: name the pages in cors_origins")


def _logs(name: str, settings: Settings) -> Iterator[Finding]:
    known = vars(settings)
    if known.get("log_format") == "console":
        yield _look(f"{name} logs for people: set log_format = json, which collectors read")
    if known.get("log_level") == "debug":
        yield _look(f"{name} logs each step: set log_level = info")


def _source(name: str, settings: Settings) -> Iterator[Finding]:
    known = vars(settings)
    nodes = known.get("rpc") or ()
    source = known.get("source") or ""
    if len(nodes) == 1 and not source:
        yield _look(f"{name} has one RPC node: name another in rpc, which stands in for it")
    if not known.get("network") and (source or nodes):
        yield _look(f"{name} believes what its source says of the network: set network")


def _state(known: Mapping[str, Any]) -> Iterator[Finding]:
    folder = known.get("state_dir")
    if folder is None:
        return
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    kind = _file_system(there)
    if kind in _FORGETTING:
        yield _look(f"{folder} is on {kind}, which a restart empties: set state_dir to a volume")
    if there == folder.absolute() and not os.access(folder, os.W_OK):
        yield Finding(_SUBJECT, "broken", f"{folder} cannot be written to: let this user own it")
    disk = shutil.disk_usage(there)
    if disk.free < _FREE * disk.total:
        yield _look(f"{folder} has {formatting.size(disk.free)} left, under a tenth of the disk: make room")
    spool = (known.get("spool_mb") or 0) << 20
    if spool > disk.free:
        message = (
            f"a session may keep {formatting.size(spool)}, and {folder} has {formatting.size(disk.free)}"
        )
        yield _look(f"{message}: lower spool_mb, or make room")


def _file_system(place: Path) -> str:
    """Return the type of the file system that a place is on; empty where the system does not tell."""
    try:
        lines = _MOUNTS.read_text().splitlines()
    except OSError:
        return ""
    mounts = {words[4]: line.partition(" - ")[2].split()[0] for line in lines if (words := line.split())}
    real = place.resolve()
    return next((mounts[str(one)] for one in (real, *real.parents) if str(one) in mounts), "")


def _memory(name: str, known: Mapping[str, Any]) -> Iterator[Finding]:
    asked = (known.get("max_memory_mb") or 0) << 20
    limit = _memory_limit()
    if asked and limit and asked > _OF_MEMORY * limit:
        have = formatting.size(limit)
        message = f"{name} may hold {formatting.size(asked)} in flight, of {have} that there are at all"
        yield _look(f"{message}: lower max_memory_mb, or give it more")


def _memory_limit() -> int:
    """Return the bytes that this process may have: of its group, or the machine's."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in _MEMORY_LIMITS:
        try:
            limits += [int(text) for text in path.read_text().split() if text.isdecimal()]
        except OSError:
            continue
    return min(limits)


def _open_files() -> Iterator[Finding]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _OPEN_FILES:
        yield _look(f"a process may open {hard} files: let it open {_OPEN_FILES} (ulimit -n, LimitNOFILE)")


def _database(place: str) -> Iterator[Finding]:
    if extras.lacking("postgres"):
        return
    from stellarrow.sinks.postgres.server import Server  # noqa: PLC0415  an extra

    where = redacted_url(place)
    try:
        with Server(place).connect() as connection:
            rows = connection.execute("select name, setting from pg_settings").fetchall()
            found: dict[str, str] = dict(rows)
            (is_super,) = connection.execute(
                "select rolsuper from pg_roles where rolname = current_user"
            ).fetchone() or (False,)
            is_local = connection.info.host.startswith("/") or connection.info.hostaddr in (
                "127.0.0.1",
                "::1",
            )
            is_encrypted = connection.pgconn.ssl_in_use
    except StellarrowError:
        return  # told where the sink is looked at
    for name, wanted in _DURABLE.items():
        if found.get(name, wanted) == "off":
            yield Finding(
                _SUBJECT, "broken", f"{where} may lose what it committed: set {name} = {wanted} there"
            )
    if is_super:
        yield _look(f"{where} is entered as a superuser: make a role that owns the database alone")
    if not is_encrypted and not is_local:
        yield _look(f"{where} is reached without TLS: add sslmode=verify-full to its URL")


def _look(message: str) -> Finding:
    return Finding(_SUBJECT, "warning", message)
