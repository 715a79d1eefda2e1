"""What reflection serves is what protoc makes of the .proto files: with JSON names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from stellarrow.net.address import Address
from stellarrow.proto import flowctl_pb2
from stellarrow.servers.grpc_base import RpcServer
from stellarrow.servers.processor_grpc import SERVICE as CONTROL
from stellarrow.servers.raw.grpc import SERVICE as RAW

PROTO = Path(__file__).parents[2] / "proto"
Files = dict[str, descriptor_pb2.FileDescriptorProto]
Served = Callable[[str], Files]


@pytest.fixture
def served() -> Iterator[Served]:
    """Ask a server of all our services for what it serves of one, and of all that imports."""
    names = (CONTROL, RAW, flowctl_pb2.DESCRIPTOR.services_by_name["ControlPlane"].full_name)
    with closing(RpcServer(Address("127.0.0.1", 0), {name: {} for name in names})) as server:
        server.start()
        with grpc.insecure_channel(str(server.address)) as channel:
            stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)

            def ask(name: str) -> Files:
                request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=name)
                (answer,) = stub.ServerReflectionInfo(iter([request]), timeout=10)
                found = answer.file_descriptor_response.file_descriptor_proto
                files = map(descriptor_pb2.FileDescriptorProto.FromString, found)
                return {Path(one.name).name: one for one in files}

            yield ask


def test_descriptors_are_those_of_protoc_with_json_names(served: Served, tmp_path: Path) -> None:
    out = tmp_path / "set"
    protos = sorted(path for path in PROTO.glob("*.proto") if "\nservice " in path.read_text())
    argv = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"--descriptor_set_out={out}"]
    subprocess.run([*argv, "--include_imports", *protos], check=True, timeout=60)
    made = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    wanted = {Path(one.name).name: one for one in made.file}
    names = (CONTROL, RAW, "flowctl.ControlPlane")
    answers = {file: one for name in names for file, one in served(name).items()}
    assert set(answers) == set(wanted)
    assert len(protos) == len(names)
    for file, one in answers.items():
        assert list(one.message_type) == list(wanted[file].message_type), file


@pytest.mark.parametrize("name", ["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"])
def test_the_standard_services_have_json_names_too(served: Served, name: str) -> None:
    (file,) = served(name).values()
    fields = [field for message in file.message_type for field in message.field]
    assert fields
    assert all(field.HasField("json_name") for field in fields)
