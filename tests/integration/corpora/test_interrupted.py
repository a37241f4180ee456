"""On real traffic, with the dissectors that are installed: where decode was interrupted changes nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from weir.capture.service import CaptureService
from weir.capture.sources import choose
from weir.decode.core import Decoder
from weir.decode.snapshot import restore, save
from weir.dissect.registry import Registry
from weir.engine.api import Decision
from weir.engine.pure import PureHeaderEngine
from weir.runtime.service import Context
from weir.testing.segments import sliced

SHARED = Path(__file__).parents[4] / "shared"
CAPTURES = sorted((SHARED / "corpora").glob("**/*.pcap"))
BENCH = SHARED / "bench" / "http.pcap.zst"
pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not CAPTURES or not BENCH.exists(), reason=f"no foreign captures in {SHARED}"),
]


class Everything:
    generation = revision = version = 0

    def decide(self, flow, node, ts_ns):
        return Decision(flow)

    def unsettled(self, flow, ts_ns):
        return False

    def excused(self, flow, promise, ts_ns):
        return False


async def segments_of(path):
    settings = CaptureService.Settings(files=type(CaptureService.Settings().files)((str(path),)), source="pcap")
    engine, offset = PureHeaderEngine(Everything(), shards=1), 0
    async for block in choose(settings)(settings, Context(bus=None)).blocks():
        for segments in engine.segments(block, 0, offset):
            yield segments
        offset += 1


def once(decoder, entries):
    found = sorted(entries, key=lambda e: (e["id"], e.get("version", 1)))
    assert not [k for k in decoder.counts if k.startswith("decode.dissector_failed")]
    assert len({(e["id"], e.get("version", 1)) for e in found}) == len(found)
    return found


@pytest.mark.parametrize("start", range(0, len(CAPTURES), 40))
async def test_every_capture_gives_the_same_with_a_restart_after_every_few_segments(start):
    registry = Registry()
    for path in CAPTURES[start:start + 40]:
        if path.read_bytes()[:4] == b"\x34\xcd\xb2\xa1":
            continue  # a variant of pcap with larger headers, which weir does not read
        whole, parts = Decoder(dissectors=registry), Decoder(dissectors=registry)
        expected, found, read, offset = [], [], 0, 0
        async for block in segments_of(path):
            read += block.count
            expected += whole.feed(block)
            for part in sliced(block, 3, offset):
                found += parts.feed(part)
                saved, parts = save(parts), Decoder(dissectors=registry)
                restore(parts, saved)
                offset += 1
        assert once(parts, found) == once(whole, expected), path
        assert whole.counts["decode.segments"] == read
        assert whole.flows == {}


async def test_the_bench_file_gives_every_exchange_once():
    decoder, entries = Decoder(dissectors=Registry()), []
    async for block in segments_of(BENCH):
        entries += decoder.feed(block)
    entries = once(decoder, entries)
    exchanges = [e for e in entries if e["kind"] == "exchange"]
    assert len(exchanges) == 40_013
    assert Counter(e["method"] for e in exchanges) == {"GET": 36_812, "POST": 3_201}
    assert Counter(e["status_code"] for e in exchanges) == {200: 34_811, 201: 3_201, 404: 1_601, 500: 400}
    assert len(entries) == 40_013 + 821
    assert all(e["conn_end"] == "fin" for e in entries if e["kind"] == "flow")
    assert not [e for e in entries if e.get("incomplete")]
