"""Selection at every layer, with faults put in layer by layer while real traffic runs: what one layer lets through by
mistake the next one stops, counts, and says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from weir.capture.bpf.layout import Mode
from weir.capture.bpf.selection import Selection
from weir.engine.api import Decision
from weir.filter.policy import FilterPolicy
from weir.model.control import Control, EndpointRecord
from weir.model.entry import EntryMap
from weir.model.flow import DirectedFlow
from weir.runtime.clock import SystemClock
from weir.testing.lab import seen
from weir.testing.lab.embedded import Embedded
from weir.testing.lab.places import Place, dnat, nodes, snat
from weir.testing.lab.seen import Told
from weir.testing.lab.talking import Talking
from weir.testing.netns import may_make_namespaces
from weir.testing.servers import missing

CONNECTIONS, REQUESTS, QUERIES = 8, 800, 100
TOOLS = missing("nginx", "nft")
S = 1_000_000_000

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not may_make_namespaces(), reason="needs root and iproute2 for network namespaces"),
    pytest.mark.skipif(bool(TOOLS), reason=f"needs {TOOLS}"),
]


class Behind(SystemClock):
    """What becomes known was known for long: no grace of a change is left when packets come."""

    def now_ns(self) -> int:
        return super().now_ns() - 60 * S


def nobody(place: Place) -> list[EndpointRecord]:
    """What is known of a place, and no rule."""
    return [msgspec.structs.replace(record, targeted=False) for record in place.records]


@pytest.fixture
def open_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel filter passes everything, and promises an exact selection all the same."""
    honest = Selection._mode
    monkeypatch.setattr(Selection, "_mode", lambda *args: honest(*args) | Mode.EVERYTHING)


@pytest.fixture
def open_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    def decide(_: FilterPolicy, flow: DirectedFlow, _node: str, _ts_ns: int) -> Decision:
        return Decision(flow)

    monkeypatch.setattr(FilterPolicy, "decide", decide)


async def talk(place: Place, folder: Path, control: Control, **capture: Any) -> tuple[Embedded, list[str]]:
    """Without a rule for anybody; answers the names that were asked for, too. `capture`: settings."""
    talking = Talking(place, folder)
    with talking.serving():
        async with Embedded(place.nodes, clock=Behind(), **capture) as weir:
            await weir.publish(control, nobody(place))
            await weir.begin()
            await talking.ask("layers", REQUESTS)
            names = await talking.resolve("layers", QUERIES)
            await weir.finish()
    return weir, names


def totals(told: Told, in_front: bool) -> dict[str, int]:
    fields = ("conn_local_pkts", "conn_remote_pkts", "conn_local_bytes", "conn_remote_bytes")
    seen_there = [entry for entry in of(told, "tcp") if ("service-view" in entry.get("tags", [])) == in_front]
    return {field: sum(entry[field] for entry in seen_there) for field in fields}


def views(told: Told) -> Counter[tuple[str, str, bool]]:
    """How many connections were told of, by both ends, in front of services and behind."""
    return Counter((*ends(entry), "service-view" in entry.get("tags", [])) for entry in of(told, "tcp"))


def connections(place: Place) -> dict[tuple[str, str, bool], int]:
    """How many there were, likewise."""
    told = {(talk.src, talk.dst, False): CONNECTIONS for talk in place.talks}
    told |= {(talk.client.address, talk.host, True): CONNECTIONS for talk in place.talks if talk.host != talk.dst}
    if place.name == "nodes":
        told["10.104.1.2", "10.104.2.3", False] = 2 * CONNECTIONS  # directly, and behind the service
    return told


def of(told: Told, protocol: str) -> list[EntryMap]:
    return [entry for entry in told.values() if entry["protocol"] == protocol]


def ends(entry: EntryMap) -> tuple[str, str]:
    return entry["src"]["ip"], entry["dst"]["ip"]


CONTROL = Control(generation=1, pods=True, pod_ranges=["10.102.0.0/16"])


async def test_without_a_rule_an_outline_is_told_once(tmp_path: Path) -> None:
    """Who talks to whom in both views, DNS through the service address once, and no payload."""
    for number, topology in enumerate((dnat, snat, nodes)):
        with topology() as place:
            weir, names = await talk(place, tmp_path / str(number), CONTROL)
        queries = seen.queries(place, names, weir.told)
        assert queries.good, f"{place.name}: {queries}"
        assert not of(weir.told, "http")
        assert views(weir.told) == connections(place), place.name
        assert not [name for name in weir.counts if "leaked" in name]
        before, behind = (totals(weir.told, in_front) for in_front in (True, False))
        assert behind["conn_local_pkts"] > REQUESTS // len(place.talks)
        if place.name == "nodes":
            continue
        assert before == behind, "NAT makes no packets, and each view counts each of them once"


async def test_two_nodes_tell_of_a_connection_once_though_totals_come_before_packets(tmp_path: Path) -> None:
    """Totals are read so often that nearly every connection is known from them first, at whichever node."""
    with nodes() as place:
        weir, _ = await talk(place, tmp_path, CONTROL, tally_s=0.02)
    assert views(weir.told) == connections(place)


async def test_with_the_kernel_open_filter_stops_everything_and_says_so(open_kernel: None, tmp_path: Path) -> None:
    with dnat() as place:
        weir, names = await talk(place, tmp_path, CONTROL)
    assert weir.counts["capture.kernel.passed_bytes"] > REQUESTS * 200, "the fault is not in"
    assert not of(weir.told, "http")
    assert seen.queries(place, names, weir.told).good
    # A request and a response each, behind the service; in front of it the view is a bare one.
    assert weir.counts["filter.leaked{outline}"] == 2 * REQUESTS
    assert weir.counts["filter.leaked{bare}"] == 0, "the vantage has no switch in this fault"
    assert weir.context.notes["filter.leaked"].startswith(f"{2 * REQUESTS} packets")
    assert not weir.counts["decode.leaked"]


async def test_with_filter_open_as_well_decode_refuses_and_says_so(
    open_kernel: None, open_filter: None, tmp_path: Path
) -> None:
    with dnat() as place:
        weir, _ = await talk(place, tmp_path, CONTROL)
    assert not of(weir.told, "http")
    assert not of(weir.told, "dns"), "of a flow that nobody asked for nothing is read"
    refused = [entry for entry in of(weir.told, "tcp") if entry.get("undecoded") == "not targeted"]
    assert len(refused) == 2 * CONNECTIONS
    assert weir.counts["decode.leaked"] >= 2 * CONNECTIONS
    assert "came from filter and was refused" in weir.context.notes["decode.leaked"]


async def test_with_filter_open_alone_nothing_gets_past_the_kernel(open_filter: None, tmp_path: Path) -> None:
    with dnat() as place:
        weir, _ = await talk(place, tmp_path, CONTROL)
    assert not of(weir.told, "http")
    assert weir.counts["capture.kernel.outlined"] > 4 * REQUESTS
