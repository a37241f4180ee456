from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from weir.engine.api import Drop, EngineLimits
from weir.engine.shard import shard_of
from weir.model.flow import DirectedFlow
from weir.model.packets import TALLY, TALLY_LAST, PacketBlock
from weir.model.segments import ACK, SYN, Tally
from weir.testing.headers import Want, engine
from weir.testing.packets import START_NS, address

MAPPED = bytes(10) + b"\xff\xff"


def total(sport: int = 1000, dport: int = 80, *, six: bool = False, **fields: Any) -> bytes:
    values = {
        "src": address("2001:db8::1") if six else MAPPED + address("10.0.0.1"),
        "dst": address("2001:db8::2") if six else MAPPED + address("10.0.0.2"),
        "protocol": 6, "flags": SYN | ACK, "kind": 0, "interface": 3, "first": START_NS, "last": START_NS + 5,
        "packets": 7, "bytes": 900, **fields,
    }
    return TALLY.pack(
        values["src"], values["dst"], sport, dport, values["protocol"], values["flags"], values["kind"],
        values["interface"], values["first"], values["last"], values["packets"], values["bytes"],
    )


def tallies(*totals: bytes, count: int | None = None, **fields: Any) -> PacketBlock:
    return PacketBlock(**{
        "node": "node", "ring": 0, "run": 1, "sequence": 0, "layout": "tallies", "clock_ns": START_NS + 10,
        "count": len(totals) if count is None else count, "data": b"".join(totals), **fields,
    })


def test_totals_become_tallies_of_their_shards() -> None:
    it = engine(Want(outline=True), shards=4)
    sent = [total(sport) for sport in range(1, 30)] + [total(7, six=True, kind=TALLY_LAST)]
    made = it.segments(tallies(*sent), 2, 5)
    found = [(block, tally, block.flows[tally.flow]) for block in made for tally in block.tallies]
    assert len(found) == 30
    assert all(shard_of(flow, 4) == block.shard and flow.outline for block, _, flow in found)
    assert all((block.count, block.frames, block.origin_offset) == (0, b"", 5) for block in made)
    four = next(f for f in found if f[2].sport == 7 and len(f[2].src) == 4)
    assert four[1] == Tally(four[1].flow, 7, 900, SYN | ACK, START_NS, START_NS + 5)
    assert (four[2].src, four[2].dst, four[2].dport) == (address("10.0.0.1"), address("10.0.0.2"), 80)
    six = next(f for f in found if len(f[2].src) == 16)
    assert six[1].last
    assert it.counts == {"filter.tallies": 30}


def test_a_flow_is_listed_once() -> None:
    (made,) = engine(Want(outline=True)).segments(tallies(total(), total(packets=9), total(2)), 0, 0)
    assert [tally.flow for tally in made.tallies] == [0, 0, 1]
    assert len(made.flows) == 2


def test_bare_views_are_told_as_such() -> None:
    (made,) = engine(Want(bare=True)).segments(tallies(total()), 0, 0)
    assert made.flows[0].bare


def dropped(it: Any) -> dict[str, int]:
    return {name[23:-1]: n for name, n in it.counts.items() if name.startswith("filter.tallies_dropped")}


def test_what_is_refused_or_passed_whole_is_not_counted_again() -> None:
    for policy, reason in (
        (Want(), "wanted_whole"), (Want(refused=Drop.OWN_TRAFFIC), "own_traffic"),
        (Want(refused=Drop.NOT_TARGETED, outline=True), "not_targeted"),
    ):
        it = engine(policy)
        made = it.segments(tallies(total(), total(2)), 0, 0)
        assert not any(block.tallies for block in made)
        assert dropped(it) == {reason: 2}


def test_nonsense_is_counted() -> None:
    it = engine(Want(outline=True))
    wrong = [
        total(protocol=1), total(first=START_NS, last=START_NS - 1), total(first=-5), total(packets=0),
        total(packets=1 << 63), total(bytes=1 << 63), total(src=address("2001:db8::1")),
    ]
    (made,) = it.segments(tallies(*wrong, total(), b"cut off", count=9), 0, 0)
    assert len(made.tallies) == 1
    assert dropped(it) == {"other_transport": 1, "malformed_block": 6, "malformed_ip": 1}


def test_a_block_keeps_its_size() -> None:
    it = engine(Want(outline=True), limits=EngineLimits(segment_bytes=2000))
    (made,) = it.segments(tallies(*[total(n) for n in range(1, 100)]), 0, 0)
    assert 5 < len(made.tallies) < 20
    assert dropped(it) == {"block_full": 99 - len(made.tallies)}


def test_totals_of_a_flow_that_is_not_settled_wait() -> None:
    policy = Want(outline=True)
    policy.waiting = True
    it = engine(policy)
    passage = it.passage(tallies(total(), total(2)), 0, 0)
    assert passage.go() is None
    flow, ts_ns = passage.waits
    assert isinstance(flow, DirectedFlow)
    assert (flow.sport, ts_ns) == (1000, START_NS + 5)
    policy.waiting = False
    made = passage.go()
    assert made is not None
    assert len(made[0].tallies) == 2


def test_totals_leave_loopback_to_its_node() -> None:
    local = MAPPED + address("127.0.0.1")
    (made,) = engine(Want(outline=True)).segments(tallies(total(src=local, dst=local)), 0, 0)
    assert made.flows[0].scope == "node"


@given(st.binary(max_size=400), st.integers(-2, 9), st.booleans())
@settings(max_examples=200)
def test_any_bytes_are_read_without_an_exception(data: bytes, count: int, end: bool) -> None:
    it = engine(Want(outline=True), shards=2)
    made = it.segments(tallies(data, count=count, end=end), 0, 0)
    passed = sum(len(block.tallies) for block in made)
    assert passed + sum(dropped(it).values()) <= max(count, 0)
    assert passed == it.counts["filter.tallies"]
