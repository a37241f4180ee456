"""A recording of the demo application, for where capturing is not permitted. Made by `deploy/demo/record.py`."""

from __future__ import annotations

from pathlib import Path

from weir.cli.demo.places import loopback
from weir.model.control import EndpointRecord

RECORDING = Path(__file__).with_name("recording.pcap")


def recorded_endpoints() -> list[EndpointRecord]:
    """Who the addresses in the recording are."""
    return loopback().endpoints()


def recorded_targets() -> list[str]:
    return [loopback().hosts["frontend"].rpartition(".")[0] + ".0/24"]
