from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import stellarrow as sa
from fakes.rpc import RpcNode, serving
from stellarrow import registry
from stellarrow.sources.chained import ChainedSource
from stellarrow.sources.files import FileSource
from stellarrow.sources.grpc import GrpcSource
from stellarrow.sources.rpc import RpcSource
from stellarrow.sources.stdin import StdinSource

MakeLake = Callable[..., Path]


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def node(ledgers: tuple[bytes, ...]) -> Iterator[RpcNode]:
    with serving(RpcNode(ledgers[10:], first=110)) as node:
        yield node


@pytest.mark.parametrize(
    ("location", "rpc", "kind"),
    [
        ("-", [], StdinSource),
        ("./lake", [], FileSource),
        ("grpc://localhost:50053", [], GrpcSource),
        ("grpcs://host:50053", [], GrpcSource),
        ("rpc+https://host/key", [], RpcSource),
        ("rpc+https://host,rpc+http://other:8000", [], RpcSource),
        (None, ["https://host", "https://other"], RpcSource),
        ("./lake,rpc+https://host", [], ChainedSource),
        ("./lake", ["https://host"], ChainedSource),
    ],
)
def test_a_place_is_opened_by_what_it_looks_like(location: str | None, rpc: list[str], kind: type) -> None:
    source = registry.open_source(location, rpc=rpc)
    assert type(source) is kind
    source.close()


@pytest.mark.parametrize(
    ("location", "told"),
    [
        (None, "no source is named: give a path or URL of ledgers, or --rpc URL"),
        ("grcp://host:1", "grcp:// is no source of ledgers: did you mean grpc://?"),
        ("ftp://host", "ftp:// is no source of ledgers: name a path, or one of "),
    ],
)
def test_what_is_no_place_is_said(location: str | None, told: str) -> None:
    with pytest.raises(sa.ConfigError) as error:
        registry.open_source(location)
    assert str(error.value).startswith(told)


def test_extract_joins_a_lake_and_a_node(
    stellarrow: Run, make_lake: MakeLake, node: RpcNode, tmp_path: Path
) -> None:
    arguments = ("--tables", "ledgers", "--to", f"parquet:{tmp_path}/out")
    done = stellarrow("extract", make_lake(100, 119), "--rpc", node.url, *arguments)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("40 ledgers (100 to 139) in")


def test_extract_refuses_a_node_of_another_network_before_it_writes(
    stellarrow: Run, node: RpcNode, tmp_path: Path
) -> None:
    arguments = ("--tables", "ledgers", "--network", "pubnet", "--to", f"parquet:{tmp_path}/out")
    done = stellarrow("extract", "--rpc", node.url, *arguments)
    assert done.code == 1
    assert f"{node.url} is a node of synthetic, not of pubnet: give the URL of another" in done.err
    assert not (tmp_path / "out").exists()
