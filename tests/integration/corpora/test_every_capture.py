"""Every foreign capture through the whole pipeline: no exception, bounded memory, every packet accounted for."""

from __future__ import annotations

import resource

import pytest

from weir.engine.api import Drop
from weir.errors import SourceError
from weir.testing.conversations import CORPORA
from weir.testing.reading import Reading, read_files

FILES = sorted(p for p in CORPORA.rglob("*") if p.suffix in (".pcap", ".pcapng", ".cap"))
GROWTH_KIB = 200 << 10
"""What hundreds of captures one after the other may add to the memory of the process."""

CEILINGS = {
    "decode_max_flows": 16, "decode_max_closed": 0, "decode_stream_buffer_bytes": 4096, "decode_identify_bytes": 64,
}

pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not FILES, reason="needs ../shared/corpora beside the project"),
]


def accounted(reading: Reading) -> None:
    counts, dropped = reading.counts, reading.dropped()
    assert set(dropped) <= set(Drop)
    assert counts["filter.packets"] == counts["capture.packets"] == counts["capture.read"]
    assert counts["filter.segments"] + sum(dropped.values()) == counts["filter.packets"]
    assert counts["decode.segments"] == counts["filter.segments"]
    assert counts["decode.entries"] == len(reading.entries)
    assert not [name for name in counts if name.startswith(("decode.dissector_failed", "lost.decode.state"))]


def sane(reading: Reading) -> None:
    """What holds for every entry, whatever the traffic."""
    flows = {e["flow_id"] for e in reading.entries if e["kind"] == "flow"}
    for entry in reading.entries:
        assert entry["summary"]
        assert entry["flow_id"] in flows, "no flow entry for this conversation"
        assert entry["src"]["ip"]
        assert entry["dst"]["ip"]
        assert entry.get("elapsed_time", 0) >= 0
    keys = [(e["id"], e.get("version", 1)) for e in reading.entries]
    assert len(set(keys)) == len(keys)


def test_every_capture_is_read_to_its_end_or_refused_in_words() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read = packets = 0
    refused: dict[str, str] = {}
    for path in FILES:
        try:
            reading = read_files(path)
        except SourceError as error:
            refused[path.name] = str(error)
            continue
        try:
            accounted(reading)
            sane(reading)
        except AssertionError as error:
            raise AssertionError(f"{path}: {error}") from error
        read += 1
        packets += reading.counts["capture.packets"]
    assert read > 440
    assert packets > 6_000
    assert len(refused) < 15, refused
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWTH_KIB


def test_tight_ceilings_cost_entries_and_never_packets() -> None:
    lost = 0
    for path in FILES:
        try:
            reading = read_files(path, **CEILINGS)
        except SourceError:
            continue
        accounted(reading)
        lost += reading.counts["lost.decode.flow_evicted"]
    assert lost
