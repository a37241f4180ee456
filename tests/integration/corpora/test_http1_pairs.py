"""HTTP in captures that nobody here wrote, cut into streams by dpkt: how many pairs there are is known."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dpkt
import pytest
import zstandard

from weir.dissect.api import Data, Exchange, Output, Probe
from weir.dissect.protocols.http1 import Http1
from weir.model.flow import Side

SHARED = Path(__file__).resolve().parents[4] / "shared"
PACKETBEAT = SHARED / "corpora" / "packetbeat"
BENCH = SHARED / "bench" / "http.pcap.zst"

pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not BENCH.is_file(), reason="no folder `../shared` with captures beside the project"),
]

LINKS = {
    dpkt.pcap.DLT_NULL: dpkt.loopback.Loopback,
    dpkt.pcap.DLT_EN10MB: dpkt.ethernet.Ethernet,
    dpkt.pcap.DLT_LINUX_SLL: dpkt.sll.SLL,
}
Key = tuple[bytes, int, bytes, int]


def segments(capture: bytes) -> Iterator[tuple[Key, Any, int]]:
    """(conversation from the client, TCP segment, time) of a pcap file; the client sent a SYN, or what looks like a
    request."""
    reader = dpkt.pcap.Reader(io.BytesIO(capture))
    clients: set[Key] = set()
    for time, frame in reader:
        ip = LINKS[reader.datalink()](frame).data
        if not isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6) or not isinstance(ip.data, dpkt.tcp.TCP):
            continue
        tcp = ip.data
        key = (ip.src, tcp.sport, ip.dst, tcp.dport)
        back = (ip.dst, tcp.dport, ip.src, tcp.sport)
        if not {key, back} & clients:
            opens = tcp.flags & dpkt.tcp.TH_SYN and not tcp.flags & dpkt.tcp.TH_ACK
            if not opens and not tcp.data:
                continue
            asks = opens or Http1().probe(Side.CLIENT, bytes(tcp.data)) is not Probe.NO
            clients.add(key if asks else back)
        yield key if key in clients else back, tcp, int(time * 1e9)


def dissect(capture: bytes) -> list[Exchange]:
    """Streams put together in order; what comes ahead of its turn waits, what comes again is passed over."""
    http = Http1()
    states: dict[Key, Any] = {}
    turns: dict[tuple[Key, Side], int] = {}
    ahead: dict[tuple[Key, Side], dict[int, tuple[bytes, int]]] = {}
    found: list[Output] = []
    for key, tcp, time in segments(capture):
        side = Side.CLIENT if tcp.sport == key[1] else Side.SERVER
        stream = (key, side)
        if key not in states:
            states[key] = http.open(midstream=not tcp.flags & dpkt.tcp.TH_SYN)
        if tcp.flags & dpkt.tcp.TH_SYN or stream not in turns:
            turns[stream] = tcp.seq + (1 if tcp.flags & dpkt.tcp.TH_SYN else 0)
        waiting = ahead.setdefault(stream, {})
        if tcp.data:
            waiting[tcp.seq] = (bytes(tcp.data), time)
        for seq in sorted(waiting):
            data, when = waiting[seq]
            if seq > turns[stream]:
                break
            del waiting[seq]
            new = data[turns[stream] - seq :]
            if new:
                found += http.feed(states[key], Data(side, new, when, turns[stream]))
                turns[stream] += len(new)
        if tcp.flags & dpkt.tcp.TH_FIN and not waiting:
            found += http.close(states[key], side, time)
    for state in states.values():
        found += http.close(state, None, 0)
    return [output for output in found if isinstance(output, Exchange)]


def test_every_pair_of_the_benchmark() -> None:
    capture = zstandard.ZstdDecompressor().stream_reader(BENCH.read_bytes()).read()
    found = dissect(capture)
    assert len(found) == 40_013
    assert Counter(e.fields["method"] for e in found) == {"GET": 36_812, "POST": 3_201}
    assert Counter(e.fields["status_code"] for e in found) == {200: 34_811, 201: 3_201, 404: 1_601, 500: 400}
    assert not [e for e in found if e.weird or e.incomplete]
    for e in found:
        assert e.request is not None
        assert e.response is not None
        assert (e.fields["method"] == "POST") == (e.request.body is not None)
        body = e.response.body
        assert body is not None
        assert body.size == int(e.response.headers["content-length"])
        assert len(body.text.encode()) + len(body.data) == body.size
        assert e.request.timestamp <= e.response.timestamp <= e.response.end


@pytest.mark.parametrize("path", sorted(PACKETBEAT.glob("*http*.pcap")), ids=lambda path: path.stem)
def test_agrees_with_packetbeat(path: Path) -> None:
    def ours(e: Exchange) -> tuple[Any, ...]:
        return e.fields.get("method", "").lower(), e.fields.get("path", ""), e.fields.get("status_code")

    def theirs(e: dict[str, Any]) -> tuple[Any, ...]:
        http = e["http"]
        path = e.get("url", {}).get("path", "")
        return http.get("request", {}).get("method", ""), path, http.get("response", {}).get("status_code")

    answers = [json.loads(line) for line in Path(f"{path}.jsonl").read_text().splitlines()]
    expected = sorted((theirs(e) for e in answers if e["type"] == "http"), key=repr)
    if path.stem == "http_unmatched":
        # A server that speaks unasked. Packetbeat looks at the time; HTTP knows order alone, and the clocks of two
        # nodes may disagree. And Packetbeat says nothing of the request that was never answered.
        expected = [("", "", 200), ("get", "/someotherthing", 404), ("get", "/something", None)]
    assert sorted((ours(e) for e in dissect(path.read_bytes())), key=repr) == expected
