from __future__ import annotations

import ipaddress

from weir.cli.demo import RECORDING, recorded_endpoints, recorded_targets


def test_the_recording_is_small_and_holds_the_shop() -> None:
    data = RECORDING.read_bytes()
    assert len(data) <= 300_000
    assert data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1")
    network = ipaddress.ip_network(recorded_targets()[0])
    for record in recorded_endpoints():
        address = ipaddress.ip_address(record.address)
        assert address in network
        assert address.packed in data
