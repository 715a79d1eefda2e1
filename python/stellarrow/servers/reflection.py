"""What gRPC reflection serves: descriptors with JSON names, as protoc gives them to servers in Go."""

from __future__ import annotations

from collections.abc import Iterable

from stellarrow.extras import needing

with needing("a gRPC server", "servers"):
    from google.protobuf import descriptor_pb2, descriptor_pool
    from google.protobuf.descriptor import Descriptor, FileDescriptor


def with_json_names(services: Iterable[str]) -> descriptor_pool.DescriptorPool:
    """Return the files of these services and all they import, each field with its JSON name.

    protoc leaves the names out of the Python modules it writes; of those descriptors clients such as grpcurl
    show `session_id`, where they show `sessionId` of a server in Go.
    """
    pool = descriptor_pool.DescriptorPool()
    added: set[str] = set()
    for name in services:
        _add(descriptor_pool.Default().FindFileContainingSymbol(name), pool, added)
    return pool


def _add(file: FileDescriptor, pool: descriptor_pool.DescriptorPool, added: set[str]) -> None:
    if file.name in added:
        return
    added.add(file.name)
    for imported in file.dependencies:  # a pool takes a file only after those it imports
        _add(imported, pool, added)
    copied = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(copied)
    for message in copied.message_type:
        _name_fields(message, file.message_types_by_name[message.name])
    pool.Add(copied)


def _name_fields(copied: descriptor_pb2.DescriptorProto, message: Descriptor) -> None:
    for field in copied.field:
        field.json_name = message.fields_by_name[field.name].json_name
    for nested in copied.nested_type:
        _name_fields(nested, message.nested_types_by_name[nested.name])
