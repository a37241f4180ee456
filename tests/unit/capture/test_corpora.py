"""Foreign captures, many of them made to break readers: packets or an error for people, and an independent count."""

from __future__ import annotations

import io
from pathlib import Path

import dpkt
import pytest

from weir.errors import SourceError
from weir.net.pcapfile import CaptureFile
from weir.net.records import MAX_CAPLEN, packets

CORPORA = Path(__file__).parents[4] / "shared" / "corpora"
FILES = sorted(
    p for p in (CORPORA / "tcpdump").rglob("*") if p.is_file() and p.suffix not in (".out", ".txt", ".md", ".new")
)

pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not CORPORA.is_dir(), reason="needs ../shared/corpora beside the project"),
]


def read(content: bytes, chunk: int) -> tuple[CaptureFile, list[tuple[int, int, bytes]]]:
    file, found = CaptureFile(), []
    for at in range(0, len(content), chunk):
        for records in file.feed(content[at : at + chunk]):
            part = list(packets(records.data))
            assert len(part) == records.count
            found += part
    file.finish()
    return file, found


def test_there_are_captures() -> None:
    assert len(FILES) > 300


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_a_capture_is_read_or_refused_in_words(path: Path) -> None:
    content = path.read_bytes()
    try:
        file, found = read(content, 1 << 20)
    except SourceError:
        return
    assert file.packets == len(found)
    assert sorted(read(content, 997)[1]) == sorted(found), "pieces change nothing"
    independent = _read_by_dpkt(content)
    if independent is None or len({r for r, _ in independent if r > MAX_CAPLEN}):
        return
    if file.damage is None:
        assert [frame for _, _, frame in found] == [frame for _, frame in independent]
    else:
        assert [f for _, _, f in found] == [frame for _, frame in independent][: len(found)]


def _read_by_dpkt(content: bytes) -> list[tuple[int, bytes]] | None:
    """None where dpkt gives up; classic files only (its pcapng reader knows one interface)."""
    try:
        reader = dpkt.pcap.Reader(io.BytesIO(content))
        return [(len(frame), frame) for _, frame in reader]
    except (ValueError, dpkt.Error, OverflowError, MemoryError):
        return None
