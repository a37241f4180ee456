from __future__ import annotations

import pytest

from weir.cli.demo import protobuf


def test_encodes_as_protobuf_documents_it() -> None:
    assert protobuf.encode({1: 150}) == bytes.fromhex("089601")
    assert protobuf.encode({2: "testing"}) == bytes.fromhex("120774657374696e67")


def test_round_trip_leaves_out_zero_values() -> None:
    assert protobuf.decode(protobuf.encode({1: "order-1", 2: 1 << 40, 3: "", 4: 0})) == {1: "order-1", 2: 1 << 40}


@pytest.mark.parametrize("data", [b"\x08", b"\x12\x05ab", b"\x80" * 12, b"\x0d\x00\x00\x00\x00"])
def test_refuses_what_it_does_not_make(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"field|varint"):
        protobuf.decode(data)
