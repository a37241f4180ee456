from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from weir.targets.kube.client import KubeClient
from weir.targets.kube.lease import Lease
from weir.testing.kubefake import MICRO_TIME, FakeKube, SteppedClock

PATIENCE_S = 20.0
HOUR_NS = 3600 * 1_000_000_000


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[tuple[FakeKube, Callable[..., Lease], SteppedClock]]:
    """All sleeps are held: time passes when the test says so."""
    async with FakeKube() as fake, await KubeClient.open(str(fake.kubeconfig(folder))) as client:
        clock = SteppedClock(hold=0.0)

        def lease(identity: str, of: SteppedClock = clock) -> Lease:
            return Lease(client, "blue", identity, clock=of)

        yield fake, lease, clock


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


def item(fake: FakeKube) -> dict[str, Any]:
    return dict(fake._kind("leases").objects["weir/blue-targets"])


async def test_it_is_made_kept_and_released(tmp_path: Path) -> None:
    async with scene(tmp_path) as (fake, lease, clock):
        one = lease("one")
        async with one.kept():
            await asyncio.wait_for(one.wait(), PATIENCE_S)
            first = item(fake)["spec"]
            assert (first["holderIdentity"], first["leaseTransitions"], first["leaseDurationSeconds"]) == ("one", 1, 30)
            assert MICRO_TIME.fullmatch(first["renewTime"])
            for renewals in (1, 2, 3):
                await until(lambda: 8.0 <= clock.alarm() <= 10.0)
                clock.advance(10)
                await until(lambda: len(fake.requests("update")) == renewals)  # noqa: B023
            assert one.held
            last = item(fake)["spec"]
            assert last["acquireTime"] == first["acquireTime"]
            assert last["renewTime"] > first["renewTime"]
            # A renewal is one call.
            assert len(fake.requests("get")) == 1
        assert not one.held
        assert (one.reason, item(fake)["spec"]["holderIdentity"]) == ("released", "")
        two = lease("two")
        await two.step()
        assert two.held


async def test_who_is_gone_is_followed_when_nothing_changed_for_long_enough(tmp_path: Path) -> None:
    async with scene(tmp_path) as (_fake, lease, clock):
        one, two = lease("one"), lease("two")
        await one.step()
        clock.advance(15)
        await two.step()
        assert (one.held, two.held, two.reason) == (True, False, "held by one")
        clock.advance(15)
        await two.step()
        # It is good for 30 s since it was first seen, however old it was then; its holder has stopped before.
        assert (one.held, two.held) == (False, False)
        clock.advance(15)
        await two.step()
        assert (one.held, two.held) == (False, True)
        # What it wrote last is no longer what is there; then it looks.
        await one.step()
        await one.step()
        assert (one.held, one.reason) == (False, "held by two")


async def test_clocks_that_differ_make_no_difference(tmp_path: Path) -> None:
    async with scene(tmp_path) as (_fake, lease, clock):
        for skew in (-5 * HOUR_NS, 5 * HOUR_NS):
            other = SteppedClock(hold=0.0, began_ns=1_800_000_000_000_000_000 + skew)
            one, two = lease("one"), lease("two", other)
            for _ in range(10):
                await one.step()
                await two.step()
                assert (one.held, two.held) == (True, False)
                clock.advance(10)
                other.advance(10)
            await one.release()
            await two.step()
            assert two.held
            await two.release()


async def test_a_holder_that_cannot_renew_stops_in_time(tmp_path: Path) -> None:
    async with scene(tmp_path) as (fake, lease, clock):
        one = lease("one")
        await one.step()
        fake.refuse(503, "leases", times=1_000, retry_after=7)
        clock.advance(10)
        assert await one.step() == 7.0
        assert one.held
        assert "forbidden" in one.reason
        clock.advance(9.9)
        assert one.held
        clock.advance(0.1)
        assert not one.held
        await one.step()
        assert one.reason.startswith("not renewed in time")
        assert one.changed.is_set()
        fake.permit()
        await one.step()
        assert one.held


async def test_a_request_that_hangs_does_not_hold_it(tmp_path: Path) -> None:
    async with scene(tmp_path) as (_fake, lease, clock):
        one = lease("one")

        async def hang(*_: object) -> dict[str, object]:
            await asyncio.Event().wait()
            return {}

        await one.step()
        one._write = hang  # type: ignore[method-assign]
        clock.advance(16)
        stepping = asyncio.ensure_future(one.step())
        await until(lambda: clock.alarm() == 5.0)
        clock.advance(4.5)
        assert not one.held
        clock.advance(0.5)
        await stepping
        assert "in time" in one.reason


async def test_a_renewal_counts_from_when_it_was_asked_for(tmp_path: Path) -> None:
    async with scene(tmp_path) as (_fake, lease, clock):
        one = lease("one")
        asked = one._create

        async def slow(*arguments: Any) -> dict[str, Any]:
            clock.advance(4)
            return await asked(*arguments)

        one._create = slow  # type: ignore[method-assign]
        await one.step()
        assert one.held
        clock.advance(15.9)
        assert one.held
        clock.advance(0.1)
        assert not one.held


async def test_a_change_by_somebody_else_costs_a_look(tmp_path: Path) -> None:
    async with scene(tmp_path) as (fake, lease, _clock):
        one = lease("one")
        await one.step()
        present = item(fake)
        fake.put("leases", present | {"metadata": present["metadata"] | {"labels": {"a": "b"}}})
        await one.step()
        assert fake.asked[-1].code == 409
        assert one.held
        await one.step()
        assert [asked.verb for asked in fake.asked[-2:]] == ["get", "update"]
        assert (one.held, one.reason) == (True, "")


async def test_of_many_that_want_it_at_once_one_gets_it(tmp_path: Path) -> None:
    async with scene(tmp_path) as (_fake, lease, clock):
        for holder in ("nobody yet", "one that is gone"):
            leases = [lease(f"{number} after {holder}") for number in range(8)]
            await asyncio.gather(*(each.step() for each in leases))
            if holder == "one that is gone":
                assert not any(each.held for each in leases)
                clock.advance(31)
                await asyncio.gather(*(each.step() for each in leases))
            assert sum(each.held for each in leases) == 1
            assert all(each.reason for each in leases if not each.held)


async def test_the_same_process_again_has_it_at_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as (_fake, lease, _clock):
        await lease("one").step()
        again = lease("one")
        await again.step()
        assert again.held


async def test_forbidden_is_told(tmp_path: Path) -> None:
    async with scene(tmp_path) as (fake, lease, _clock):
        fake.refuse(403, times=1)
        one = lease("one")
        await one.step()
        assert not one.held
        assert "leases is forbidden" in one.reason
