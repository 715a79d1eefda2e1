"""Rows as messages: JSON, or Arrow's IPC messages, the schema once and then a batch a part."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa
from pyarrow import ipc

from stellarrow.analysis.reads.tailing import Part
from stellarrow.servers.analytics_http.writing import Bytes, json_rows
from stellarrow.servers.analytics_live import Delivery, Following
from stellarrow.servers.analytics_ws.frames import binary_frame, text_frame

_CODECS: Final = {"arrow": None, "arrow+zstd": "zstd", "arrow+lz4": "lz4"}


def encoder(format_name: str) -> Callable[[Following], Callable[[Part], bytes]]:
    """Return what makes the encoder of a question's rows."""

    def json_encoder(tail: Following) -> Callable[[Part], bytes]:
        return lambda part: b"" if part.rows is None else json_rows([tail.for_json(part.rows)])

    def arrow_encoder(tail: Following) -> Callable[[Part], bytes]:
        known = len(schema_message(tail.schema))  # bytes that were sent before
        options = ipc.IpcWriteOptions(compression=_CODECS[format_name])
        return lambda part: b"" if part.rows is None else _ipc(tail.schema, options, part.rows)[known:]

    return json_encoder if format_name == "json" else arrow_encoder


def schema_message(schema: pa.Schema) -> bytes:
    """Return IPC's schema message."""
    found: bytes = schema.serialize().to_pybytes()
    return found


def _ipc(schema: pa.Schema, options: ipc.IpcWriteOptions, rows: pa.RecordBatch) -> bytes:
    out = Bytes()
    writer = ipc.new_stream(pa.PythonFile(out, mode="w"), schema, options=options)
    writer.write_batch(pa.RecordBatch.from_arrays(rows.columns, schema=schema))
    return bytes(out.taken())


def message(op: str, **fields: Any) -> bytes:
    """Return the frame of a message."""
    return text_frame(json.dumps({"op": op, **fields}, separators=(",", ":")).encode())


def frames_of(made: Delivery, subscription: str, number: int, format_name: str) -> bytes:
    """Return the frames of a delivery: JSON has the rows, of Arrow they are in a frame behind it."""
    head = {
        "op": "data",
        "id": subscription,
        "first_ledger": made.part.first,
        "last_ledger": made.part.last,
        "resume": made.resume,
        **({"recounted": True} if made.part.is_recount else {}),
    }
    if format_name == "json":
        begun = json.dumps(head, separators=(",", ":")).encode()[:-1]
        return text_frame(begun + b',"rows":[' + made.body + b"]}")
    told = {**head, "number": number, "bytes": len(made.body)}
    frame = text_frame(json.dumps(told, separators=(",", ":")).encode())
    if not made.body:
        return frame
    return frame + binary_frame(struct.pack("!I", number) + made.body)
