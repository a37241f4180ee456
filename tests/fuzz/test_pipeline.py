"""Damaged traffic through the whole pipeline: nothing raises, nothing is unbounded, every packet is accounted for.

`WEIR_FUZZ_SEEDS=5000` runs longer; a failing seed is in the test's name.
"""

from __future__ import annotations

import asyncio
import os
import random
import struct
from pathlib import Path

import pytest

from weir.cli.demo import RECORDING
from weir.cli.offline import STAGES, Offline, with_files
from weir.net.records import pcap_header
from weir.runtime.process import load_settings

SEEDS = int(os.environ.get("WEIR_FUZZ_SEEDS", "40"))


def packets() -> list[tuple[int, bytes]]:
    """Time in ns and frame of each packet of the demo's recording (little-endian pcap, µs)."""
    data = RECORDING.read_bytes()
    found, at = [], 24
    while at < len(data):
        seconds, micros, captured, _ = struct.unpack_from("<IIII", data, at)
        found.append((seconds * 10**9 + micros * 1000, data[at + 16 : at + 16 + captured]))
        at += 16 + captured
    return found


PACKETS = packets()


def damaged(rng: random.Random) -> list[tuple[int, bytes, int]]:
    """The recording after an accident: flipped bytes, cut, repeated, lost, swapped and foreign packets."""
    out: list[tuple[int, bytes, int]] = []
    rate = rng.choice((0.02, 0.2, 0.6))
    for ts, frame in PACKETS:
        wire = len(frame)
        if rng.random() < rate:
            kind = rng.randrange(6)
            if kind == 0:
                changed = bytearray(frame)
                for _ in range(rng.randint(1, 8)):
                    changed[rng.randrange(len(changed))] = rng.randrange(256)
                frame = bytes(changed)
            elif kind == 1:
                frame = frame[: rng.randrange(len(frame) + 1)]
            elif kind == 2:
                out.append((ts, frame, wire))
            elif kind == 3:
                continue
            elif kind == 4 and out:
                out[-1], (ts, frame, wire) = (ts, frame, wire), out[-1]
            else:
                frame = rng.randbytes(rng.randrange(1, 200))
                wire = len(frame)
        out.append((ts, frame, max(wire, len(frame))))
    return out


def written(rng: random.Random, path: Path) -> int:
    rows = damaged(rng)
    with path.open("wb") as file:
        file.write(pcap_header(1))
        for ts, frame, wire in rows:
            file.write(struct.pack("<IIII", ts // 10**9, ts % 10**9, len(frame), wire) + frame)
    return len(rows)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_damaged_traffic_is_data(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    path = tmp_path / "damaged.pcap"
    count = written(rng, path)
    flags = with_files({"targets.body_limit": 512, "decode.stream_buffer_bytes": 65536}, [str(path)])
    offline = Offline(load_settings(list(STAGES), flags, environ={}))

    async def read() -> int:
        return sum([len(entries) async for entries in offline.entries()])

    entries = asyncio.run(read())
    counts = offline.counts
    dropped = sum(n for name, n in counts.items() if name.startswith("filter.dropped"))
    assert counts["capture.packets"] == counts["filter.packets"] == count
    assert counts["filter.segments"] + dropped == count
    assert counts["decode.segments"] == counts["filter.segments"]
    assert not [name for name in counts if name.startswith("decode.dissector_failed")]
    assert entries > 0
