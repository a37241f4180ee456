"""The directory against a plain search through all records."""

from __future__ import annotations

import ipaddress

from hypothesis import given, settings
from hypothesis import strategies as st

from weir.directory import Directory
from weir.model.control import EndpointRecord

ADDRESSES = [
    "10.0.0.1", "10.0.0.2", "10.0.1.1", "10.0.0.0/24", "10.0.0.0/8", "0.0.0.0/0", "2001:db8::1", "2001:db8::/32",
]
TIMES = st.integers(0, 20)


@st.composite
def records(draw: st.DrawFn) -> EndpointRecord:
    since = draw(TIMES)
    return EndpointRecord(
        address=draw(st.sampled_from(ADDRESSES)), uid=str(draw(st.integers(0, 3))), port=draw(st.sampled_from([0, 80])),
        since_ns=since, until_ns=draw(st.sampled_from([0, since + 1, since + 5])),
    )


Change = tuple[bytes, EndpointRecord | None]
changes = st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c", b"d"]), st.none() | records()), max_size=12)
questions = st.lists(
    st.tuples(st.sampled_from([a for a in ADDRESSES if "/" not in a]), st.sampled_from([0, 80, 81]), TIMES), max_size=12
)


def searched(held: dict[bytes, EndpointRecord], address: str, port: int, ts_ns: int) -> set[int]:
    """Every answer that is right, by identity."""
    best = (-1, False, 0)
    found: list[EndpointRecord] = []
    asked = ipaddress.ip_address(address)
    for record in held.values():
        network = ipaddress.ip_network(record.address)
        if asked not in network or record.port not in (0, port):
            continue
        if not record.since_ns <= ts_ns or (record.until_ns and record.until_ns <= ts_ns):
            continue
        rank = (network.prefixlen, record.port != 0, record.since_ns)
        if rank > best:
            best, found = rank, []
        if rank == best:
            found.append(record)
    return {id(record) for record in found}


@given(st.lists(st.tuples(changes, questions), max_size=5), st.integers(1, 8))
@settings(max_examples=300)
def test_it_answers_as_a_search_through_all_records(
    rounds: list[tuple[list[Change], list[tuple[str, int, int]]]], cached: int
) -> None:
    directory = Directory(max_cached=cached)
    held: dict[bytes, EndpointRecord] = {}
    for changed, asked in rounds:
        for key, record in changed:
            if record is None:
                held.pop(key, None)
                directory.remove(key)
            else:
                held[key] = record
                directory.put(key, record)
        for address, port, ts_ns in [*asked, *asked]:
            answer = directory.lookup(address, port, ts_ns)
            right = searched(held, address, port, ts_ns)
            equal = {repr(record) for record in held.values() if id(record) in right}
            assert (repr(answer) in equal) if answer is not None else not right
