"""A real PgBouncer between a client and a database."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg import conninfo

from fakes.process import free_port

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"


@contextmanager
def pooled(url: str, folder: Path, *, mode: str) -> Iterator[str]:
    """Pool a database by `session` or `transaction`; yield the URL through the pooler."""
    if not Path(PROGRAM).exists():
        pytest.skip("PgBouncer is not installed: apt-get install pgbouncer")
    parts = conninfo.conninfo_to_dict(url)
    port = free_port()
    here = f"host={parts['host']} port={parts['port']} user={parts['user']} dbname={parts['dbname']}"
    settings = folder / f"{mode}.ini"
    lines = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": mode,
        "default_pool_size": 6,
        "logfile": "",
        "pidfile": "",
        "ignore_startup_parameters": "extra_float_digits",
    }
    written = "".join(f"{name} = {value}\n" for name, value in lines.items())
    settings.write_text(f"[databases]\n{parts['dbname']} = {here}\n[pgbouncer]\n{written}")
    for parent in (folder, *folder.parents):  # it runs as a plain user
        if parent.stat().st_mode & 0o005 != 0o005:
            parent.chmod(parent.stat().st_mode | 0o055)
    own = {"user": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    running = subprocess.Popen(  # type: ignore[call-overload]
        [PROGRAM, "-q", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **own
    )
    try:
        _wait(port)
        yield f"postgresql://{parts['user']}@127.0.0.1:{port}/{parts['dbname']}"
    finally:
        running.terminate()
        running.wait(10)


def _wait(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("PgBouncer did not start")
