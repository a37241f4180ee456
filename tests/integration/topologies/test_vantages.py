"""Two nodes that share conversations out: one of them without a capture, and one whose capture goes and comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from weir.model.control import EndpointRecord
from weir.testing.lab import seen, talking
from weir.testing.lab.embedded import Embedded
from weir.testing.lab.places import Place, control, nodes
from weir.testing.lab.talking import Talking
from weir.testing.netns import may_make_namespaces
from weir.testing.servers import missing

REQUESTS, QUERIES = 2000, 100
TOOLS = missing("nginx", "nft")

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not may_make_namespaces(), reason="needs root and iproute2 for network namespaces"),
    pytest.mark.skipif(bool(TOOLS), reason=f"needs {TOOLS}"),
]


def of_second(place: Place, *, captured: bool) -> list[EndpointRecord]:
    return [msgspec.structs.replace(r, captured=captured) for r in place.records if r.node == "n2"]


async def test_where_one_node_has_no_capture_the_other_tells_what_it_sees_once(tmp_path: Path) -> None:
    """Service addresses are a front all the same: their NAT is where they are seen, and so is the view behind it."""
    with nodes() as place:
        talk = Talking(place, tmp_path)
        with talk.serving():
            async with Embedded({"n1": place.nodes["n1"]}) as weir:
                await weir.publish(control(), place.records)
                await weir.publish(None, of_second(place, captured=False))
                await weir.begin()
                paths = await talk.ask("partly", REQUESTS)
                names = await talk.resolve("partly", QUERIES)
                told = await weir.finish()
    requests, queries = seen.requests(place, paths, told), seen.queries(place, names, told)
    assert requests.good, str(requests)
    assert queries.good, str(queries)


async def test_a_vantage_that_moves_away_and_back_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections stay open meanwhile. Whether a node captures is told before its capture ends, and after it began."""
    monkeypatch.setattr(talking, "RATE", 400.0)
    with nodes() as place:
        talk = Talking(place, tmp_path)
        with talk.serving():
            async with Embedded(place.nodes) as weir:
                await weir.publish(control(), place.records)
                await weir.begin()
                asking = asyncio.ensure_future(talk.ask("moving", REQUESTS))
                await talk.until_served(REQUESTS // 4)
                await weir.publish(None, of_second(place, captured=False))
                await weir.caught_up()
                await weir.end_capture("n2")
                await talk.until_served(REQUESTS // 2)
                await weir.begin_capture("n2")
                await weir.publish(None, of_second(place, captured=True))
                paths = await asking
                told = await weir.finish()
    verdict = seen.requests(place, paths, told)
    assert verdict.asked == REQUESTS
    assert not verdict.doubled, str(verdict)
    assert verdict.good, str(verdict)
