"""Records the captures of this folder anew: `python tests/captures/record.py [case…]` (root; nginx, nghttp2, tcpdump).

A case is a function in `scenes/`. Expected entries are written by `golden.py`, and are to be read before they are kept.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from scenes.stage import CASES, START_NS, Case, Packets, stage

from weir.testing.capturefiles import pcap

HERE = Path(__file__).parent
SCENES = ("http1", "http1_odd", "http2", "grpc_calls", "dns", "tls", "flows")
LIMIT = 64 << 10
"""Bytes of a capture: they are many, and they stay."""


def main(wanted: list[str]) -> int:
    for scene in SCENES:
        importlib.import_module(f"scenes.{scene}")
    unknown = [name for name in wanted if name not in CASES]
    if unknown:
        print(f"there is no case {', '.join(unknown)}; there are: {', '.join(sorted(CASES))}", file=sys.stderr)
        return 2
    for name in wanted or sorted(CASES):
        record(CASES[name])
    return 0


def record(case: Case) -> None:
    with stage() as where:
        packets = shifted(case.make(where))
    folder = HERE / case.name
    folder.mkdir(parents=True, exist_ok=True)
    file = pcap(packets)
    assert packets, f"{case.name} recorded nothing"
    assert len(file) < LIMIT, f"{case.name} takes {len(file)} bytes"
    (folder / "capture.pcap").write_bytes(file)
    (folder / "about.md").write_text(f"# {case.name}\n\n{case.about}\n")
    print(f"{case.name}: {len(packets)} packets, {len(file)} bytes")


def shifted(packets: Packets) -> Packets:
    """To begin at `START_NS`."""
    first = min(packet.ts_ns for packet in packets)
    return [packet._replace(ts_ns=packet.ts_ns - first + START_NS) for packet in packets]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
