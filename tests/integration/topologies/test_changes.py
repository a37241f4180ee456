"""Rules and addresses change while requests run: what is targeted all the time is told whole, request by request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from weir.model.control import EndpointRecord
from weir.testing.lab import seen
from weir.testing.lab.embedded import Embedded
from weir.testing.lab.places import Place, bridge, control, pod
from weir.testing.lab.seen import Verdict
from weir.testing.lab.talking import Talking
from weir.testing.netns import may_make_namespaces
from weir.testing.servers import missing

REQUESTS, ADDRESSES, TURNS, AT_ONCE = 2000, 10_000, 3, 500
TOOLS = missing("nginx", "nft")

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not may_make_namespaces(), reason="needs root and iproute2 for network namespaces"),
    pytest.mark.skipif(bool(TOOLS), reason=f"needs {TOOLS}"),
]

Change = Callable[[Embedded, Place, int], Awaitable[None]]


def others(turn: int) -> list[EndpointRecord]:
    """Every other one is targeted, in turns; both families."""
    return [
        pod(f"p{n}", f"10.{150 + n // 62500}.{n // 250 % 250}.{n % 250 + 1}" if n % 2 else f"fd00::{n:x}",
            targeted=(n + turn) % 3 == 0)
        for n in range(ADDRESSES)
    ]


async def addresses(weir: Embedded, _: Place, turn: int) -> None:
    records = others(turn)
    for at in range(0, ADDRESSES, AT_ONCE):
        await weir.publish(None, records[at : at + AT_ONCE])
        await asyncio.sleep(0)


async def the_rule_itself(weir: Embedded, place: Place, turn: int) -> None:
    """The server stays targeted: by its pod, by a port of it, by its address, by a network, by all of them."""
    server = next(record for record in place.records if record.targeted)
    texts = ([], [f"{server.address}:8080"], ["10.101.0.0/24"], ["port:8080", "10.9.9.9"], ["all"])
    document = control(2 * turn + 2)
    await weir.publish(msgspec.structs.replace(document, targets=[server.address]))
    targeted = not texts[turn % len(texts)]
    await weir.publish(None, [
        msgspec.structs.replace(server, targeted=targeted, labels={"turn": str(turn)}),
        msgspec.structs.replace(server, port=8080, uid=f"{server.uid}/8080", targeted=True),
    ])  # fmt: skip
    await weir.publish(msgspec.structs.replace(document, targets=texts[turn % len(texts)], generation=2 * turn + 3))


@pytest.mark.parametrize("change", [addresses, the_rule_itself], ids=["ten thousand addresses", "the rule itself"])
async def test_nothing_of_a_targeted_flow_is_lost_meanwhile(change: Change, tmp_path: Path) -> None:
    verdict, weir = await asked(change, tmp_path)
    assert verdict.good, f"{verdict}; {[name for name in weir.counts if name.startswith('lost.')]}"
    assert not [name for name in weir.counts if "leaked" in name or name.startswith("lost.")]


async def asked(change: Change, folder: Path) -> tuple[Verdict, Embedded]:
    """Until the last change is known in the kernel, and for as many requests at least."""
    async def keep_changing(weir: Embedded, place: Place) -> None:
        for turn in range(TURNS):
            await change(weir, place, turn)
            await weir.caught_up()
            await asyncio.sleep(0.05)

    with bridge() as place:
        talking = Talking(place, folder)
        with talking.serving():
            async with Embedded(place.nodes) as weir:
                await weir.publish(control(), place.records)
                await weir.begin()
                changing = asyncio.ensure_future(keep_changing(weir, place))
                paths: list[str] = []
                while not changing.done():
                    paths += await talking.ask(f"changes{len(paths)}", REQUESTS)
                await changing
                told = await weir.finish()
    return seen.requests(place, paths, told), weir
