from __future__ import annotations

from typing import Any

from weir.bus.api import Received
from weir.filter.core import FilterCore
from weir.filter.settings import FilterSettings
from weir.model.control import Control, EndpointRecord
from weir.model.counts import Counts
from weir.model.packets import PacketBlock
from weir.testing.packets import START_NS, Seen, block, ethernet, ipv4, rows, tcp

SECOND = 1_000_000_000
KNOWN = "10.0.0.9"
"""Not of the pods' range."""


def core(**settings: Any) -> FilterCore:
    made = FilterCore(FilterSettings(**settings), shards=1, counts=Counts())
    made.configure(Control(generation=1, targets=["all"], pod_ranges=["10.244.0.0/16"]))
    return made


def packets(text: str, *sources: str, at_s: float = 0.0, size: int = 0, **fields: Any) -> PacketBlock:
    ts_ns = START_NS + int(at_s * SECOND)
    frames = [
        Seen(ethernet(ipv4(src, KNOWN, 6, tcp(1000, 80, text.encode() + bytes(size)))), ts_ns)
        for src in sources or (KNOWN,)
    ]
    return block(frames, **{"clock_ns": ts_ns, **fields})


def tick(at_s: float, **fields: Any) -> PacketBlock:
    return block([], clock_ns=START_NS + int(at_s * SECOND), **fields)


class Fed:
    """Feeds a core, and keeps the first byte of all payloads that come of it."""

    def __init__(self, it: FilterCore) -> None:
        self.core = it
        self.offset = 0
        self.revisions: set[int] = set()

    def __call__(self, given: PacketBlock, now_s: float = 0.0, partition: int = 0) -> str:
        received = Received(partition, self.offset, b"", given)
        self.offset += 1
        return self.text(self.core.step(received, now_s))

    def text(self, made: list[Any]) -> str:
        self.revisions |= {record.value.revision for record in made}
        return "".join(row.payload.decode()[:1] for record in made for row in rows(record.value))

    def learn(self, address: str, **fields: Any) -> str:
        record = EndpointRecord(**{"address": address, "uid": address, "since_ns": START_NS, "revision": 7, **fields})
        self.core.learn([(address.encode(), record)])
        return self.text(self.core.release())


def test_what_is_known_goes_on_at_once() -> None:
    feed = Fed(core())
    assert feed(packets("a")) == "a"
    feed.learn("10.244.0.1")
    assert feed(packets("b", "10.244.0.1")) == "b"
    assert not feed.core.hold
    assert feed.core.engine.counts["filter.held"] == 0


def test_the_packets_of_a_new_pod_wait_until_it_is_known() -> None:
    feed = Fed(core())
    assert feed(packets("a", KNOWN, "10.244.0.1")) == ""
    assert feed(packets("b", at_s=1)) == ""
    assert len(feed.core.hold) == 2
    assert feed.core.hold.bytes > 0
    assert feed.learn("10.244.0.2") == ""
    assert feed.learn("10.244.0.1") == "aab"
    assert feed.revisions == {7}
    assert feed(packets("c", at_s=1)) == "c"
    assert not feed.core.hold
    assert feed.core.hold.bytes == 0
    assert feed.core.engine.counts["filter.held"] == 3
    assert "filter.hold_late" not in feed.core.engine.counts


def test_who_was_known_at_another_time_is_not_known() -> None:
    feed = Fed(core())
    feed.learn("10.244.0.1", until_ns=START_NS + 5)
    assert feed(packets("a", "10.244.0.1", at_s=1)) == ""
    feed.core.learn([(b"new", EndpointRecord(address="10.244.0.1", uid="new", since_ns=START_NS + SECOND))])
    assert feed.text(feed.core.release()) == "a"


def test_a_tick_ends_the_waiting() -> None:
    feed = Fed(core(hold_s=5))
    assert feed(packets("a", "10.244.0.1")) == ""
    assert feed(packets("b", at_s=1)) == ""
    assert feed(tick(4.9)) == ""
    assert feed(tick(5)) == "ab"
    assert feed(packets("c", "10.244.0.1", at_s=6)) == "c"
    assert feed.core.engine.counts["filter.hold_late"] == 1


def test_a_ring_is_delayed_and_not_slowed_down_however_many_are_unknown() -> None:
    feed = Fed(core(hold_s=5))
    found = ""
    for n in range(100):
        found += feed(packets(chr(48 + n % 10), f"10.244.1.{n}", at_s=n))
        assert len(feed.core.hold) <= 5
        assert len(found) == max(0, n - 4)
    assert found == "".join(str(n % 10) for n in range(95))


def test_other_rings_go_on() -> None:
    feed = Fed(core())
    assert feed(packets("a", "10.244.0.1", ring=0)) == ""
    assert feed(packets("b", ring=1)) == "b"
    assert feed(packets("c", node="other")) == "c"
    assert feed.learn("10.244.0.1") == "a"


def test_the_end_of_a_ring_and_a_new_run_end_the_waiting() -> None:
    feed = Fed(core())
    assert feed(packets("a", "10.244.0.1")) == ""
    assert feed(tick(0, end=True)) == "a"
    assert feed(packets("b", "10.244.0.2", run=2)) == ""
    assert feed(packets("c", "10.244.0.3", run=3)) == "b"
    assert feed.learn("10.244.0.3") == "c"


def test_a_ring_that_says_nothing_more_is_not_waited_for() -> None:
    feed = Fed(core())
    assert feed(packets("a", "10.244.0.1"), now_s=100.0) == ""
    assert feed.text(feed.core.release(99.0)) == ""
    assert feed.text(feed.core.release(101.0)) == "a"


def test_the_bytes_that_wait_are_bounded() -> None:
    feed = Fed(core(hold_bytes=1 << 20))
    found = ""
    for n in range(100):
        found += feed(packets(chr(48 + n % 10), f"10.244.0.{n + 1}", size=60_000))
        assert feed.core.hold.bytes <= 1 << 20
    assert found == "".join(str(n % 10) for n in range(len(found)))
    assert len(found) == 100 - len(feed.core.hold) > 50
    assert feed.core.engine.counts["filter.hold_full"] == len(found)


def test_draining_passes_everything_on() -> None:
    feed = Fed(core())
    assert feed(packets("a", "10.244.0.1")) + feed(packets("b", "10.244.0.2", ring=1)) + feed(packets("c")) == ""
    assert sorted(feed.text(feed.core.drain())) == ["a", "b", "c"]
    assert not feed.core.hold


def test_the_first_that_waits_is_told_by_partition_and_forgotten_with_it() -> None:
    feed = Fed(core())
    hold = feed.core.hold
    assert hold.first(0) is None
    feed(packets("a"))
    feed(packets("b", "10.244.0.1"))
    feed(packets("c", "10.244.0.1", ring=1), partition=4)
    assert (hold.first(0), hold.first(4), hold.first(5)) == (1, 2, None)
    hold.forget(frozenset({0, 5}))
    assert (hold.first(0), hold.first(4)) == (None, 2)
    assert feed.learn("10.244.0.1") == "c"
    assert hold.bytes == 0
