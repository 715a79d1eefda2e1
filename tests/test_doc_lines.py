"""Every line of README and docs does what it says, run as printed, in order, in one folder."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import islice
from pathlib import Path
from shutil import copytree

import click
import psycopg
import pytest

import stellarrow as sa
from doc_lines import ROOT, Line, Reader, lines_of
from fakes.clickhouse import ClickHouse
from fakes.kafka import Broker
from fakes.nats import NatsServer
from fakes.postgres import open_folder
from fakes.process import free_port
from fakes.rpc import RpcNode, serving
from fakes.versitygw import S3
from stellarrow.cli.app import stellarrow
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.synthetic import synthetic
from stellarrow.sinks.postgres.embedded import PrivateServer, find_binaries

FIRST, COUNT = 58_752_000, 1_000
PAGES = sorted(
    page
    for page in ("README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
    if any(lines_of(page))
)
STORED = "FCD285FF--53312000.xdr.zstd"
PUBLIC = "aws-public-blockchain/v1.1/stellar/ledgers/pubnet"
# What a page takes as given in its Python.
GIVEN = {
    "docs/queries.md": f"import stellarrow as sa\ndata = open({STORED!r}, 'rb').read()\n",
    "docs/reliability.md": (
        "import threading\nimport stellarrow as sa\nfrom stellarrow.sources.files import FileSource\n"
        "source, sink = FileSource('./lake'), 'parquet:./other'\n"
    ),
}
# Packages too large for every run: the blocks that take them run in tests of their own.
LARGE = re.compile(r"^(?:from|import) (?:pyspark|deltalake|pyiceberg|dask|daft)\b", re.MULTILINE)
# Blocks that hold only with what their page tells of: elsewhere they have tests of their own.
ELSEWHERE = {
    "docs/plug_ins.md": "tests/test_registry.py",
    "docs/reliability.md": "tests/sinks/postgres/test_written_rows.py, tests/cli/test_dlq.py",
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand ledgers with the numbers that the pages name."""
    folder = tmp_path_factory.mktemp("lakes") / "lake"
    made = islice(synthetic(7, first=FIRST, ledger_bytes=4_096), COUNT)
    write_lake(folder, made, first=FIRST, network=sa.Network.of("synthetic"))
    return folder


@contextmanager
def database() -> Iterator[PrivateServer]:
    """A server on loopback with the database and the user that the pages name."""
    settings = {"listen_addresses": "127.0.0.1", "port": str(free_port())}
    with open_folder() as folder, PrivateServer(folder, durable=False, settings=settings) as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE me SUPERUSER LOGIN")
            connection.execute("CREATE DATABASE stellar OWNER me")
        yield server


@pytest.fixture
def passable() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
def reader(lake: Path, passable: Path, versitygw: S3, ledgers: tuple[bytes, ...]) -> Iterator[Reader]:
    """Somebody with a lake, a store, a node and a database, as the pages have them."""
    if find_binaries() is None:
        pytest.skip("there is no PostgreSQL to start")
    copytree(lake, passable / "lake")
    stored = ROOT / "python" / "stellarrow" / "data" / "ledgers" / STORED
    (passable / STORED).write_bytes(stored.read_bytes())
    for place in (PUBLIC, "lake/v1"):
        if not (versitygw.root / place).exists():
            versitygw.bucket(place.partition("/")[0])
            copytree(lake, versitygw.root / place)
    bucket = f"bucket-{secrets.token_hex(4)}"
    versitygw.bucket(bucket)
    with database() as server, serving(RpcNode(ledgers)) as node:
        made = Reader(
            passable,
            environ={**versitygw.environment, "HOME": str(passable), "PGPORT": server._settings["port"]},
        )
        made.replaced = {
            "https://rpc.example.org": node.url,
            "s3://bucket/": f"s3://{bucket}/",
            "me@host/": "me@localhost/",
            "localhost:8816": f"localhost:{made.ports['processor flight_address']}",
            "127.0.0.1:8816": f"127.0.0.1:{made.ports['processor flight_address']}",
            "--network pubnet": "--network synthetic",
            "stellarrow watch": f"stellarrow watch --at :{made.ports['processor health_port']}",
        }
        try:
            yield made
        finally:
            made.stop()


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page not in ELSEWHERE])
def test_every_line_of_the_page_works_as_printed(
    reader: Reader, page: str, request: pytest.FixtureRequest
) -> None:
    if page == "docs/kafka.md":
        broker: Broker = request.getfixturevalue("kafka")
        reader.replaced = {**reader.replaced, "localhost:9092": broker.address}
    if page == "docs/nats.md":
        jetstream: NatsServer = request.getfixturevalue("nats")
        reader.replaced = {**reader.replaced, "localhost:4222": jetstream.address}
    if page == "docs/clickhouse.md":
        server: ClickHouse = request.getfixturevalue("clickhouse")
        reader.replaced = {
            **reader.replaced,
            "localhost:8123": server.address,
            "port=8123": f"port={server.port}",
        }
    for line in lines_of(page):
        if line.is_python and LARGE.search(line.text):
            continue
        _prepare(reader, line)
        given = GIVEN.get(page, "") if line.is_python else ""
        reader.run(Line(page, given + line.text, line.is_python))


def _prepare(reader: Reader, line: Line) -> None:
    """Have what a line takes from elsewhere: a processor for its readers, free ports for `up`."""
    if line.text == "stellarrow up":
        reader.stop()
    needs_processor = "flight-endpoint" in line.text or "flight.connect" in line.text
    if needs_processor and not reader.running:
        ends = f"--start-ledger {FIRST} --end-ledger {FIRST + 9}"
        reader.run(Line(line.page, f"stellarrow processor serve --source ./lake {ends}"))


def test_pages_without_a_run_here_have_it_elsewhere() -> None:
    for page, tests in ELSEWHERE.items():
        named = [ROOT / one for one in tests.split(", ")]
        assert all(one.is_file() for one in named)
        assert any(Path(page).name in one.read_text() for one in named), page


@cache
def commands() -> dict[str, click.Command]:
    """Return every command by what is typed, such as `lake write`."""

    def found(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield name, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for verb in command.list_commands(context):
                below = command.get_command(context, verb)
                assert below
                yield from found(f"{name} {verb}".strip(), below)

    return dict(found("", stellarrow))


WRITTEN = [
    (page, found)
    for page in ("README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))
    for found in re.findall(r"`(stellarrow [^`]+)`", (ROOT / page).read_text())
]


@pytest.mark.parametrize(("page", "written"), WRITTEN, ids=[f"{page} {text}" for page, text in WRITTEN])
def test_every_command_and_flag_that_a_sentence_names_is_there(page: str, written: str) -> None:
    words = written.replace("\n", " ").split()[1:]
    verbs: list[str] = []
    while words and " ".join([*verbs, words[0]]) in commands():
        verbs.append(words.pop(0))
    assert verbs or words[:1] == ["@"], f"{page}: {written}"
    if verbs:
        command = commands()[" ".join(verbs)]
        known = {flag for one in command.params for flag in (*one.opts, *one.secondary_opts)}
        named = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert named <= {*known, "--help", "--debug"}, f"{page}: {written}"
