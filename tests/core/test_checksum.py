"""The checksum of stored rows."""

from __future__ import annotations

import hashlib
import zlib

import pyarrow as pa
import pytest

import stellarrow as sa
from stellarrow.core.checksum import crc32


@pytest.mark.parametrize("size", [0, 1, 7, 8, 63, 64, 65, 1_000, 100_003])
def test_it_is_that_of_zlib_for_bytes_and_buffers_wherever_they_begin(size: int) -> None:
    data = hashlib.shake_128(b"seed").digest(size)
    held = pa.py_buffer(b"abc" + data)
    assert crc32(data) == crc32(held.slice(3)) == crc32(pa.py_buffer(data)) == zlib.crc32(data)


@pytest.mark.parametrize("cut", [0, 1, 64, 999, 1_000])
def test_it_goes_on_behind_what_came_before(cut: int) -> None:
    data = hashlib.shake_128(b"seed").digest(1_000)
    assert crc32(pa.py_buffer(data).slice(cut), crc32(data[:cut])) == zlib.crc32(data)


def test_what_arrow_serialized_has_it_too() -> None:
    message = pa.record_batch({"a": pa.array(range(1_000))}).serialize()
    assert crc32(message) == zlib.crc32(message)


def test_ledgers_in_a_buffer_of_arrow_are_decoded_where_they_lie() -> None:
    data = sa.synth(3, 5)
    held = pa.py_buffer(b"not of it" + data).slice(9)
    assert sa.decode(held, ["ledgers"], network="synthetic") == sa.decode(
        data, ["ledgers"], network="synthetic"
    )


@pytest.mark.parametrize("values", [pa.array([1, 2]), pa.array([1, None], pa.uint8()), pa.array(["a"])])
def test_an_array_of_other_things_than_bytes_is_refused(values: pa.Array) -> None:
    with pytest.raises(sa.ConfigError, match="not contiguous bytes"):
        sa.decode(values, ["ledgers"], network="synthetic")
