"""What goes wrong at the server: one clear sentence, nothing half-written, and on it goes when mended."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import trustme

import stellarrow as sa
from fakes.postgres import open_folder, url_of
from fakes.process import free_port
from sinks.postgres.made import Row, asked, balance, batch, entry
from stellarrow.net.resilience import Policy
from stellarrow.sinks.postgres import PostgresSink, lock_waits
from stellarrow.sinks.postgres.embedded import PrivateServer, find_binaries

ROWS = [entry(ledger, f"k{ledger}", val_xdr="v" * 500) for ledger in range(100)]
ONCE = Policy(attempts=1)


def opened(database: str, **choices: Any) -> PostgresSink:
    chosen = {"network": "synthetic", "mode": "live", "policy": ONCE, **choices}
    return PostgresSink(database, ["contract_data"], **chosen)


def bring(database: str, first: int = 0, last: int = 99, **choices: Any) -> None:
    with closing(opened(database, **choices)) as sink:
        sink.write(batch(first, last, ROWS))
        sink.commit()


def entries(database: str) -> int:
    return int(asked(database, "SELECT count(*) FROM contract_data.entries")[0]["count"])


def execute(database: str, *statements: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.mark.parametrize("mode", ["live", "backfill"])
def test_a_read_only_server_is_told(database: str, mode: str) -> None:
    bring(database, 0, 9)
    with pytest.raises(sa.SinkError, match=r"read-only transaction\): write to the primary"):
        bring(url_of(database, options="-c default_transaction_read_only=on"), mode=mode)
    assert entries(database) == 10
    bring(database)
    assert entries(database) == 100


def test_missing_rights_are_told(database: str) -> None:
    role = f"nobody_{secrets.token_hex(4)}"
    execute(database, f"CREATE ROLE {role} LOGIN")
    with pytest.raises(sa.SinkError, match=r"permission denied for database .*: grant what is missing"):
        bring(url_of(database, user=role))
    bring(database, 0, 9)
    execute(database, f"GRANT USAGE ON SCHEMA stellar, contract_data TO {role}")
    execute(database, f"GRANT SELECT ON ALL TABLES IN SCHEMA stellar, contract_data TO {role}")
    with pytest.raises(sa.SinkError, match=r"permission denied for .*: grant what is missing"):
        bring(url_of(database, user=role))
    assert entries(database) == 10


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE contract_data.entries DROP COLUMN val_xdr",
        "ALTER TABLE contract_data.entries ALTER COLUMN change_type TYPE integer USING 1",
        "ALTER TABLE contract_data.entries RENAME COLUMN deleted TO gone",
    ],
)
def test_a_column_changed_by_hand_is_told(database: str, change: str) -> None:
    bring(database, 0, 9)
    execute(database, change)
    with pytest.raises(sa.SchemaMismatch, match="its tables were changed by hand"):
        bring(database)
    assert asked(database, "SELECT count(*) FROM contract_data.entries") == [{"count": 10}]
    failed = asked(
        database, "SELECT error_message FROM contract_data.ingestion_progress WHERE status = 'failed'"
    )
    assert "changed by hand" in failed[0]["error_message"]


def test_rows_put_there_by_hand_are_not_overwritten(database: str) -> None:
    bring(database, 0, 9)
    execute(database, "UPDATE contract_data.ledger_coverage SET ledgers = '{}'")
    with pytest.raises(sa.SinkError, match="rows that ledger_coverage does not know"):
        bring(database)
    assert entries(database) == 10


def test_a_statement_timeout_is_told_and_what_was_not_written_is_written_later(database: str) -> None:
    bring(database, 0, 9)
    with psycopg.connect(database) as other:
        other.execute("SELECT FROM contract_data.ledger_coverage FOR UPDATE")
        with pytest.raises(sa.SinkError, match=r"statement timeout.*: raise statement_timeout"):
            bring(url_of(database, options="-c statement_timeout=100"))
        other.rollback()
    assert entries(database) == 10
    bring(database)
    assert entries(database) == 100


def test_who_holds_a_lock_that_a_writer_waits_for_is_named(
    database: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_waits, "_FIRST_SECONDS", 0.2)
    bring(database, 0, 9)
    with psycopg.connect(database, application_name="somebody else") as other, ThreadPoolExecutor(1) as pool:
        holder = other.info.backend_pid
        other.execute("SELECT FROM contract_data.ledger_coverage FOR UPDATE")
        with caplog.at_level(logging.WARNING):
            writing = pool.submit(bring, database)
            deadline = time.monotonic() + 60
            while not caplog.messages and time.monotonic() < deadline:
                time.sleep(0.05)
            assert not writing.done()
        other.rollback()
        writing.result(20)
    assert f"waiting for a lock that session {holder} holds" in caplog.messages[0]
    assert "(somebody else, user stellarrow, idle in transaction" in caplog.messages[0]
    assert entries(database) == 100


def test_a_server_that_is_away_is_unavailable() -> None:
    with pytest.raises(
        sa.SinkUnavailable, match=r"cannot connect to PostgreSQL 'x' at 127.0.0.1:\d+ .*: start the"
    ):
        opened(f"postgresql://u@127.0.0.1:{free_port()}/x").coverage()


def test_what_failed_is_kept_for_another_try(database: str) -> None:
    with closing(opened(database)) as sink:
        sink.write(batch(0, 0, ROWS))
        sink.commit()
        sink.write(batch(1, 99, ROWS))
        execute(database, "ALTER TABLE contract_data.entries RENAME COLUMN deleted TO gone")
        with pytest.raises(sa.SchemaMismatch):
            sink.commit()
        execute(database, "ALTER TABLE contract_data.entries RENAME COLUMN gone TO deleted")
        sink.commit()
        assert str(sink.coverage()) == "0:99"


@pytest.mark.parametrize(
    ("row", "told"),
    [  # no chain writes either
        (balance(0, "k", 10**44), "balance_text is 10{44}: PostgreSQL keeps no more than an i128"),
        (entry(0, "k\0"), "invalid byte sequence.*cannot hold that value"),
    ],
)
def test_rows_that_no_database_can_hold_are_refused_and_others_go_on(
    database: str, row: Row, told: str
) -> None:
    with closing(opened(database)) as sink:
        sink.write(batch(0, 0, [row]))
        with pytest.raises(sa.LedgersRefused, match=told):
            sink.commit()
        sink.write(batch(1, 99, ROWS))
        sink.commit()
        assert str(sink.coverage()) == "1:99"


@pytest.mark.parametrize("url", ["postgres://h:port/x", "postgresql://h/x?colour=red"])
def test_a_url_that_cannot_be_read_is_told(url: str) -> None:
    with pytest.raises(sa.ConfigError, match="the database URL cannot be read"):
        opened(url)


def test_an_unknown_mode_is_told(database: str) -> None:
    with pytest.raises(
        sa.ConfigError, match="the mode 'fast' is not known: choose among auto, live, backfill"
    ):
        PostgresSink(database + " ", ["contract_data"], network="synthetic", mode="fast")


@pytest.fixture(scope="module")
def strict() -> Iterator[tuple[str, Path]]:
    """A server that asks for a password over TLS, and its CA's certificate."""
    if find_binaries() is None:
        pytest.skip("there is no PostgreSQL to start")
    with open_folder() as folder:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        issued = authority.issue_cert("localhost", "127.0.0.1")
        issued.cert_chain_pems[0].write_to_path(folder / "server.pem")
        issued.private_key_pem.write_to_path(folder / "server.key")
        (folder / "server.key").chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(folder / "server.key", "postgres")
        (folder / "hba").write_text("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(free_port()),
            "ssl": "on",
            "ssl_cert_file": str(folder / "server.pem"),
            "ssl_key_file": str(folder / "server.key"),
            "hba_file": str(folder / "hba"),
        }
        with PrivateServer(folder / "server", durable=False, settings=settings) as server:
            execute(server.url, "ALTER ROLE stellarrow PASSWORD 'right'")
            yield f"postgresql://stellarrow:right@localhost:{settings['port']}/postgres", folder


def test_tls_is_verified_in_full(strict: tuple[str, Path]) -> None:
    url, folder = strict
    verified = f"{url}?sslmode=verify-full&sslrootcert={folder / 'ca.pem'}"
    bring(verified)
    assert entries(verified) == 100


def test_a_certificate_of_another_ca_is_told(strict: tuple[str, Path], tmp_path: Path) -> None:
    url, _ = strict
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    with pytest.raises(sa.SinkError, match=r"certificate verify failed.*: give the right CA in sslrootcert"):
        opened(f"{url}?sslmode=verify-full&sslrootcert={tmp_path / 'other.pem'}").coverage()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("right", "wrong"), "password authentication failed.*: set the right password"),
        (("/postgres", "/nowhere"), 'database "nowhere" does not exist.*: create the database first'),
        ((":right", ""), "no password supplied.*: set the right password"),
        (
            ("/postgres", "/postgres?sslmode=disable"),
            "no encryption.*: use a user and a database that pg_hba.conf",
        ),
    ],
)
def test_who_is_not_let_in_is_told_why(strict: tuple[str, Path], change: tuple[str, str], told: str) -> None:
    url, _ = strict
    with pytest.raises(sa.SinkError, match=told) as caught:
        opened(url.replace(*change)).coverage()
    assert not isinstance(caught.value, sa.SinkUnavailable)
    assert "wrong@" not in str(caught.value)


@contextmanager
def small_disk(size: str) -> Iterator[Path]:
    """A disk of its own, in memory."""
    with open_folder() as folder:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],  # noqa: S607
            capture_output=True,
            check=False,
        )
        if mounted.returncode:
            pytest.skip("no small disk can be made here: it takes root and mount")
        try:
            shutil.chown(folder, "postgres")
            yield folder
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607


def in_parts(sink: PostgresSink, rows: list[dict[str, Any]]) -> None:
    for first in range(0, 800, 50):
        sink.write(batch(first, first + 49, rows))
        sink.commit()


@pytest.mark.parametrize("mode", ["live", "backfill"])
def test_a_full_disk_is_told_and_leaves_nothing_half(postgres: PrivateServer, mode: str) -> None:
    name = f"small_{secrets.token_hex(4)}"
    with small_disk("40M") as folder:
        execute(
            postgres.url,
            f"CREATE TABLESPACE {name} LOCATION '{folder}'",
            f"CREATE DATABASE {name} TABLESPACE {name}",
        )
        database = url_of(postgres.url, dbname=name)
        try:
            big = [entry(ledger, f"k{ledger}", val_xdr=secrets.token_hex(40_000)) for ledger in range(800)]
            with closing(opened(database, mode=mode, writers=1)) as sink:
                with pytest.raises(sa.SinkError, match=r"No space left .*: make room on the server's disk"):
                    in_parts(sink, big)
                done = sink.coverage()
                assert 0 < done.count < 800
            grown = ["mount", "-o", "remount,size=200M", str(folder)]
            subprocess.run(grown, check=True)
            with closing(opened(database, mode=mode)) as sink:
                assert sink.coverage() == done
                sink.write(batch(0, 799, big))
                sink.commit()
            assert entries(database) == 800
        finally:
            execute(postgres.url, f"DROP DATABASE {name} WITH (FORCE)", f"DROP TABLESPACE {name}")
