"""Each conversation is told once, whatever way it takes: topologies as nodes have them, captured live by the eBPF
filter, through filter and decode to entries that are held to the servers' own logs, request by request.

Every topology carries the full 10,000 requests in both forms: in one process, and as processes on a real Kafka with
three partitions and two decoders. WEIR_TOPOLOGY_REQUESTS sets another number.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from weir.model.entry import EntryMap
from weir.testing.lab import seen
from weir.testing.lab.embedded import Embedded
from weir.testing.lab.installed import Installed
from weir.testing.lab.places import TOPOLOGIES, Place, control
from weir.testing.lab.talking import Talking
from weir.testing.netns import may_make_namespaces
from weir.testing.pytest_kafka import SecuredKafka
from weir.testing.servers import missing

REQUESTS = int(os.environ.get("WEIR_TOPOLOGY_REQUESTS", "10000"))
FEWER, QUERIES = min(REQUESTS, 2000), 300
TOOLS = missing("nginx", "nft")

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not may_make_namespaces(), reason="needs root and iproute2 for network namespaces"),
    pytest.mark.skipif(bool(TOOLS), reason=f"needs {TOOLS}"),
]


@pytest.mark.parametrize("name", TOPOLOGIES)
async def test_in_one_process(name: str, tmp_path: Path) -> None:
    with TOPOLOGIES[name]() as place:
        talking = Talking(place, tmp_path)
        with talking.serving():
            async with Embedded(place.nodes) as weir:
                await weir.publish(control(), place.records)
                await weir.begin()
                paths = await talking.ask("one", REQUESTS)
                names = await talking.resolve("one", QUERIES)
                told = await weir.finish()
    hold(place, paths, names, told)
    assert not [name for name in weir.counts if "leaked" in name or name.startswith("lost.")], weir.counts
    assert not any(context.notes for context in (weir.context, *weir.captures.values()))
    shown = weir.counts["capture.kernel.copies"] / weir.counts["capture.kernel.passed"]
    if name == "redirect":
        assert shown < 0.6, "answers were seen at the end of the pod's link, too"
    elif name in ("bridge", "failing", "loopback"):
        assert shown > 0.9


@pytest.mark.parametrize(
    ("name", "capture"),
    [
        ("dnat", {"interfaces": ("va", "vb")}),
        ("failing", {"interfaces": ("va", "vspare", "vb")}),
        ("nodes", {"rings": 3}),
        ("failing", {"rings": 3}),
        ("snat", {"filter": "classic"}),
        ("hairpin", {"filter": "classic"}),
        ("redirect", {"filter": "classic"}),
        ("failing", {"filter": "classic"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "".join(value),
)
async def test_captured_in_other_ways(name: str, capture: dict[str, Any], tmp_path: Path) -> None:
    """Interface by interface, in several rings, and where the kernel refuses eBPF and all of it is left to `filter`."""
    with TOPOLOGIES[name]() as place:
        talking = Talking(place, tmp_path)
        with talking.serving():
            async with Embedded(place.nodes, **capture) as weir:
                await weir.publish(control(), place.records)
                await weir.begin()
                paths = await talking.ask("ways", FEWER)
                told = await weir.finish()
    requests = seen.requests(place, paths, told)
    assert requests.asked == FEWER // len(place.talks) * len(place.talks)
    assert requests.good, f"{place.name}: {requests}"


def hold(place: Place, paths: list[str], names: list[str], told: dict[str, EntryMap]) -> None:
    requests = seen.requests(place, paths, told)
    assert requests.asked == REQUESTS // len(place.talks) * len(place.talks)
    assert requests.good, f"{place.name}: {requests}"
    if place.dns:
        queries = seen.queries(place, names, told)
        assert queries.asked == QUERIES
        assert queries.good, f"{place.name}: {queries}"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def installed(kafka: SecuredKafka, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installed]:
    async with Installed(kafka.bootstrap, tmp_path_factory.mktemp("installed")) as weir:
        yield weir


ASKED: list[tuple[Place, list[str], list[str]]] = []
"""What was asked of the places so far, through Kafka."""


@pytest.mark.kafka
@pytest.mark.parametrize("name", TOPOLOGIES)
async def test_through_kafka(name: str, installed: Installed, tmp_path: Path) -> None:
    with TOPOLOGIES[name]() as place:
        talking = Talking(place, tmp_path)
        with talking.serving():
            await installed.watch(place)
            paths = await talking.ask("kafka", REQUESTS)
            names = await talking.resolve(f"kafka-{name}", QUERIES)
            await installed.leave(place)
    ASKED.append((place, paths, names))
    hold(place, paths, names, installed.told)


@pytest.mark.kafka
async def test_nothing_came_twice_in_the_end(installed: Installed) -> None:
    """Across all topologies on one Kafka: no place's entries were told again later, both decoders had their part, and
    nobody lost or leaked anything."""
    await installed.settled()
    for asked in ASKED:
        hold(*asked, installed.told)
    for name, beat in installed.beats.items():
        assert not beat.lost, (name, beat.lost)
        assert not [counter for counter in beat.counters if "leaked" in counter], (name, beat.counters)
    shares = [installed.beats[name].counters.get("decode.segments", 0) for name in ("decode-1", "decode-2")]
    assert min(shares) > sum(shares) / 10, shares
