from __future__ import annotations

import struct

from weir.capture.bpf.local import ipv4_addresses, ipv6_addresses


def test_reads_the_kernels_two_lists() -> None:
    one = struct.pack("=16sHH4s16x", b"br0", 2, 0, bytes((10, 244, 1, 1)))
    other = struct.pack("=16sHH4s16x", b"x", 10, 0, bytes(4))
    assert list(ipv4_addresses(one + other + one[:20])) == [bytes((10, 244, 1, 1))]
    text = "fd000000000000000000000000000001 02 40 00 80     eth0\nnonsense\n"
    assert list(ipv6_addresses(text)) == [bytes.fromhex("fd" + "0" * 29 + "1")]
