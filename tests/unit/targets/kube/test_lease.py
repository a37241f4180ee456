from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from weir.targets.kube.client import KubeClient
from weir.targets.kube.lease import Lease
from weir.testing.kubefake import MICRO_TIME, FakeKube, HurriedClock

PATIENCE_S = 20.0


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[tuple[FakeKube, Callable[..., Lease], HurriedClock]]:
    async with FakeKube() as fake, await KubeClient.open(str(fake.kubeconfig(folder))) as client:
        clock = HurriedClock(200.0)

        def lease(identity: str, of: HurriedClock = clock) -> Lease:
            return Lease(client, "blue", identity, clock=of, chance=random.Random(1))

        yield fake, lease, clock


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


def spec(fake: FakeKube) -> dict[str, object]:
    return dict(fake._kind("leases").objects["weir/blue-targets"]["spec"])


async def test_it_is_made_kept_and_released(tmp_path: Path) -> None:
    async with scene(tmp_path) as (fake, lease, _clock):
        one = lease("one")
        async with one.kept():
            await asyncio.wait_for(one.wait(), PATIENCE_S)
            first = spec(fake)
            assert (first["holderIdentity"], first["leaseTransitions"], first["leaseDurationSeconds"]) == ("one", 1, 30)
            assert MICRO_TIME.fullmatch(str(first["renewTime"]))
            await until(lambda: len(fake.requests("update")) >= 3)
            assert one.held
            assert spec(fake)["acquireTime"] == first["acquireTime"]
            assert str(spec(fake)["renewTime"]) > str(first["renewTime"])
            # A renewal is one call.
            assert len(fake.requests("get")) == 1
        assert not one.held
        assert (one.reason, spec(fake)["holderIdentity"]) == ("released", "")


async def test_a_holder_that_is_gone_is_followed_when_nothing_changed_for_long_enough(tmp_path: Path) -> None:
    async with scene(tmp_path) as (_fake, lease, clock):
        one, two = lease("one"), lease("two")
        await one._step()
        assert one.held
        began = clock.monotonic()
        async with two.kept():
            await until(lambda: two.reason == "held by one")
            await asyncio.wait_for(two.wait(), PATIENCE_S)
            assert clock.monotonic() - began >= 30.0
            assert not one.held


async def test_clocks_that_differ_make_no_difference(tmp_path: Path) -> None:
    async with scene(tmp_path) as (fake, lease, _clock):
        hours = 3600 * 1_000_000_000
        for skew in (-5 * hours, 5 * hours):
            other = HurriedClock(200.0, began_ns=1_800_000_000_000_000_000 + skew)
            one, two = lease("one"), lease("two", other)
            async with one.kept():
                await asyncio.wait_for(one.wait(), PATIENCE_S)
                async with two.kept():
                    renewals = len(fake.requests("update"))
                    await until(lambda count=renewals: len(fake.requests("update")) >= count + 6)  # type: ignore[misc]
                    assert [one.held, two.held] == [True, False]


async def test_a_holder_that_cannot_renew_stops_in_time_before_others_begin(tmp_path: Path) -> None:
    async with scene(tmp_path) as (fake, lease, clock):
        one = lease("one")
        async with one.kept():
            await asyncio.wait_for(one.wait(), PATIENCE_S)
            fake.refuse(503, "leases", times=1_000)
            await until(lambda: not one.held)
            stopped = clock.monotonic() - one._renewed
            await until(lambda: one.reason.startswith("not renewed in time"))
            fake.permit()
            await asyncio.wait_for(one.wait(), PATIENCE_S)
            assert stopped >= 20.0


async def test_a_request_that_hangs_does_not_hold_it(tmp_path: Path) -> None:
    async with scene(tmp_path) as (_fake, lease, _clock):
        one = lease("one")

        async def hang(*_: object) -> dict[str, object]:
            await asyncio.Event().wait()
            return {}

        async with one.kept():
            await asyncio.wait_for(one.wait(), PATIENCE_S)
            one._write = hang  # type: ignore[method-assign]
            await until(lambda: not one.held)
            await until(lambda: "in time" in one.reason)


async def test_a_change_by_somebody_else_costs_a_look(tmp_path: Path) -> None:
    async with scene(tmp_path) as (fake, lease, _clock):
        one = lease("one")
        async with one.kept():
            await asyncio.wait_for(one.wait(), PATIENCE_S)
            item = dict(fake._kind("leases").objects["weir/blue-targets"])
            fake.put("leases", item | {"metadata": item["metadata"] | {"labels": {"a": "b"}}})
            await until(lambda: any(asked.code == 409 for asked in fake.requests("update")))
            await until(lambda: fake.requests("update")[-1].code == 200)
            assert one.held


async def test_of_many_that_want_it_at_once_one_gets_it(tmp_path: Path) -> None:
    async with scene(tmp_path) as (_fake, lease, _clock):
        leases = [lease(str(number)) for number in range(8)]
        await asyncio.gather(*(each._step() for each in leases))
        assert sum(each.held for each in leases) == 1
        assert all(each.reason for each in leases if not each.held)


async def test_the_same_process_again_has_it_at_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as (_fake, lease, _clock):
        await lease("one")._step()
        again = lease("one")
        await again._step()
        assert again.held


async def test_forbidden_is_told(tmp_path: Path) -> None:
    async with scene(tmp_path) as (fake, lease, _clock):
        fake.refuse(403, times=1)
        one = lease("one")
        await one._step()
        assert not one.held
        assert "leases is forbidden" in one.reason
