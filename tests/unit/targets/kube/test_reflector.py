from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from weir.targets.kube.client import KubeClient
from weir.targets.kube.objects import Change, Delete, Put, Replace, Watching
from weir.targets.kube.reflector import Pace, Reflector
from weir.targets.kube.values import RESOURCES
from weir.testing.kubefake import FakeKube, SteppedClock

PATIENCE_S = 20.0


class Scene:
    """A fake server, a reflector of its pods, and what it told."""

    def __init__(self, fake: FakeKube, reflector: Reflector, clock: SteppedClock, changes: list[Change]) -> None:
        self.fake = fake
        self.reflector = reflector
        self.clock = clock
        self.changes = changes

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.005)

    async def watching(self) -> None:
        """And listening, with the alarm for silence set."""
        await self.until(
            lambda: self.reflector.state == "watching" and self.fake.watching() == 1 and self.clock.alarm() < math.inf
        )

    def pods(self) -> set[str]:
        return {value.name for value in self.reflector.known.values()}

    def put(self, name: str, **labels: str) -> None:
        self.fake.put("pods", {"metadata": {"name": name, "namespace": "d", "labels": labels}})

    def states(self) -> list[str]:
        return [change.state for change in self.changes if isinstance(change, Watching)]

    def why(self, state: str) -> str:
        return next(change.reason for change in self.changes if isinstance(change, Watching) and change.state == state)

    def told(self, kind: type) -> list[Change]:
        return [change for change in self.changes if isinstance(change, kind)]

    def delays(self) -> list[float]:
        """How long it waited before it tried again; the alarms of streams are longer."""
        return [delay for delay in self.clock.slept if delay < 90.0]


@asynccontextmanager
async def scene(
    folder: Path, *pods: str, before: Callable[[FakeKube], None] = lambda fake: None, pace: Pace | None = None,
    hold: float = 90.0,
) -> AsyncIterator[Scene]:  # fmt: skip
    async with FakeKube() as fake:
        for name in pods:
            fake.put("pods", {"metadata": {"name": name, "namespace": "d"}})
        before(fake)
        clock = SteppedClock(hold)
        async with (
            await KubeClient.open(str(fake.kubeconfig(folder))) as client,
            asyncio.TaskGroup() as tasks,
        ):
            changes: list[Change] = []

            async def tell(change: Change) -> None:
                changes.append(change)

            reflector = Reflector(client, RESOURCES["pods"], tell, clock=clock, chance=random.Random(7), pace=pace)
            running = tasks.create_task(reflector.run())
            try:
                yield Scene(fake, reflector, clock, changes)
            finally:
                running.cancel()


# Where it begins


@pytest.mark.parametrize("mode", ["no", "broken"])
async def test_a_server_without_the_streaming_list_is_listed_in_pages(tmp_path: Path, mode: str) -> None:
    def before(fake: FakeKube) -> None:
        fake.streaming_list = mode

    async with scene(tmp_path, "a", "b", "c", "e", before=before, pace=Pace(page=2)) as s:
        await s.watching()
        assert s.pods() == {"a", "b", "c", "e"}
        assert s.states() == ["listing", "watching"]
        assert [asked.verb for asked in s.fake.asked] == ["watch", "list", "list", "watch"]
        assert s.fake.asked[-1].query["resourceVersion"] == str(s.fake._version)
        assert s.delays() == []
        # It is not asked for again.
        s.fake.forget()
        s.fake.error(410)
        await s.until(lambda: s.reflector.lists == 3)
        await s.watching()
        assert sum("sendInitialEvents" in asked.query for asked in s.fake.asked) == 1


async def test_a_server_that_never_says_that_all_was_listed(tmp_path: Path) -> None:
    def before(fake: FakeKube) -> None:
        fake.streaming_list = "unknown"

    async with scene(tmp_path, "a", before=before) as s:
        await s.until(lambda: s.clock.alarm() == 90.0)
        s.clock.advance(91)
        await s.watching()
        assert s.pods() == {"a"}
        assert s.fake.requests("list")
        assert "silent" in s.why("away")


async def test_the_first_page_is_too_old_when_the_second_is_asked(tmp_path: Path) -> None:
    def before(fake: FakeKube) -> None:
        fake.streaming_list = "no"
        fake.refuse(410, verb="list", times=1, when=lambda asked: "continue" in asked.query)

    async with scene(tmp_path, "a", "b", "c", before=before, pace=Pace(page=2)) as s:
        await s.watching()
        assert s.pods() == {"a", "b", "c"}
        assert ["continue" in asked.query for asked in s.fake.requests("list")] == [False, True, False, True]


async def test_pages_that_are_always_too_old_are_given_up_for_one_list(tmp_path: Path) -> None:
    def before(fake: FakeKube) -> None:
        fake.streaming_list = "no"
        fake.refuse(410, verb="list", times=99, when=lambda asked: "continue" in asked.query)

    async with scene(tmp_path, "a", "b", "c", before=before, pace=Pace(page=2)) as s:
        await s.watching()
        assert s.pods() == {"a", "b", "c"}
        assert "limit" not in s.fake.requests("list")[-1].query
        assert s.delays() == []


async def test_a_list_that_is_too_old_at_once_is_asked_for_again_after_a_while(tmp_path: Path) -> None:
    def before(fake: FakeKube) -> None:
        fake.streaming_list = "no"
        fake.refuse(410, verb="list", times=3)

    async with scene(tmp_path, "a", before=before) as s:
        await s.watching()
        assert s.pods() == {"a"}
        assert len(s.delays()) >= 2


# Gaps


@pytest.mark.parametrize("as_status", [False, True], ids=["in the stream", "as status"])
async def test_a_place_that_is_too_old_is_listed_anew_and_tells_what_is_gone(tmp_path: Path, as_status: bool) -> None:
    async with scene(tmp_path, "stays", "goes") as s:
        await s.watching()
        s.fake.gone_as_status = as_status
        await s.fake.stop()
        s.fake.delete("pods", "goes", "d")
        s.fake.forget()
        await s.fake.start()
        await s.watching()
        _, second = s.told(Replace)
        assert isinstance(second, Replace)
        assert ([v.name for v in second.objects], [v.name for v in second.gone]) == (["stays"], ["goes"])
        assert s.reflector.lists == 2


async def test_410_again_and_again_is_waited_for(tmp_path: Path) -> None:
    async with scene(tmp_path, "a") as s:
        await s.watching()
        s.fake.refuse(410, verb="watch", times=6)
        s.fake.abort()
        await s.until(lambda: len(s.fake.requests("watch")) >= 8)
        await s.watching()
        assert len(s.delays()) >= 5


async def test_an_error_in_the_stream_is_no_reason_to_list(tmp_path: Path) -> None:
    async with scene(tmp_path, "a") as s:
        await s.watching()
        s.fake.error(500)
        await s.until(lambda: "away" in s.states())
        s.put("b")
        await s.until(lambda: s.pods() == {"a", "b"})
        assert s.reflector.lists == 1


async def test_a_broken_connection_goes_on_where_it_was(tmp_path: Path) -> None:
    async with scene(tmp_path, "a") as s:
        await s.watching()
        for number in range(5):
            s.fake.abort()
            s.put(f"p{number}")
            await s.until(lambda name=f"p{number}": name in s.pods())  # type: ignore[misc]
            await s.watching()
        s.fake.delete("pods", "a", "d")
        await s.until(lambda: "a" not in s.pods())
        assert s.reflector.lists == 1
        assert len(s.told(Put)) == 5
        assert len(s.told(Delete)) == 1


async def test_a_bookmark_moves_the_place(tmp_path: Path) -> None:
    async with scene(tmp_path, "a") as s:
        await s.watching()
        s.fake.put("nodes", {"metadata": {"name": "n"}})
        s.fake.bookmark()
        version = str(s.fake._version)
        await s.until(lambda: s.reflector._mirror.version == version)
        s.fake.end()
        await s.until(lambda: len(s.fake.requests("watch")) == 2)
        assert s.fake.asked[-1].query["resourceVersion"] == version


# Bad servers


async def test_a_stream_that_falls_silent_is_opened_again(tmp_path: Path) -> None:
    async with scene(tmp_path, "a") as s:
        await s.watching()
        s.fake.silent = True
        s.put("b")
        s.clock.advance(89)
        assert s.reflector.state == "watching"
        s.clock.advance(2)
        await s.until(lambda: "away" in s.states())
        assert "silent" in s.why("away")
        s.fake.silent = False
        await s.until(lambda: s.pods() == {"a", "b"})
        assert s.reflector.lists == 1


async def test_a_stream_with_bookmarks_is_not_silent(tmp_path: Path) -> None:
    async with scene(tmp_path, "a") as s:
        await s.watching()
        for version in ("2000", "3000", "4000"):
            s.clock.advance(80)
            s.fake._version = int(version)
            s.fake.bookmark()
            await s.until(lambda: s.reflector._mirror.version == version and s.clock.alarm() == 90.0)  # noqa: B023
        assert s.reflector.watches == 1
        s.clock.advance(91)
        await s.until(lambda: s.reflector.watches == 2)


async def test_a_watch_that_does_not_end_is_ended(tmp_path: Path) -> None:
    async with scene(tmp_path, "a", pace=Pace(watch_s=(20, 20), slack_s=10.0), hold=4.0) as s:
        await s.watching()
        for _ in range(5):
            s.clock.advance(5)
            version = str(s.fake._version + 100)
            s.fake._version += 100
            s.fake.bookmark()
            await s.until(lambda: s.reflector._mirror.version == version and s.clock.alarm() <= 30.0)  # noqa: B023
        assert s.reflector.watches == 1
        s.clock.advance(6)
        await s.until(lambda: s.reflector.watches == 2)
        assert s.reflector.lists == 1


async def test_retry_after_is_obeyed(tmp_path: Path) -> None:
    async with scene(tmp_path, "a") as s:
        await s.watching()
        s.fake.refuse(429, times=1, retry_after=40)
        s.fake.end()
        await s.until(lambda: len(s.fake.requests("watch")) == 3)
        assert 40.0 in s.delays()
        s.fake.refuse(503, times=1, retry_after=50)
        s.fake.end()
        await s.until(lambda: len(s.fake.requests("watch")) == 5)
        assert 50.0 in s.delays()
        assert s.reflector.lists == 1


async def test_delays_rise_while_a_server_fails_and_no_further(tmp_path: Path) -> None:
    async with scene(tmp_path, "a", before=lambda fake: fake.refuse(500, times=9)) as s:
        await s.watching()
        delays = s.delays()[:9]
        assert delays[-1] > 10 * delays[0]
        assert max(delays) <= 30.0
        assert s.states() == ["listing", "away", "watching"]


async def test_a_stream_that_ends_at_once_is_not_opened_in_a_loop(tmp_path: Path) -> None:
    async with scene(tmp_path, "a") as s:
        await s.watching()
        s.fake.end()
        await s.until(lambda: len(s.fake.requests("watch")) == 2 and s.fake.watching() == 1)
        s.fake.end()
        await s.until(lambda: "away" in s.states())
        assert "ended at once" in s.why("away")


async def test_an_expired_token_is_read_anew_once(tmp_path: Path) -> None:
    async with scene(tmp_path, "a") as s:
        await s.watching()
        s.fake.tokens = {"renewed"}
        s.fake.kubeconfig(tmp_path, "renewed")
        s.fake.end()
        await s.until(lambda: s.fake.requests("watch")[-1].token == "renewed")
        await s.watching()
        assert "away" not in s.states()

        s.fake.tokens = {"unknown to us"}
        s.fake.abort()
        await s.until(lambda: s.states()[-1] == "away" and s.fake.asked[-1].code == 401)
        s.fake.tokens = {"renewed"}
        await s.watching()
        assert s.reflector.lists == 1


async def test_a_kind_that_is_forbidden_is_asked_for_slowly(tmp_path: Path) -> None:
    async with scene(
        tmp_path, "a", before=lambda fake: fake.refuse(403, times=2), pace=Pace(refused_s=(60.0, 80.0))
    ) as s:
        await s.watching()
        assert s.states() == ["listing", "forbidden", "watching"]
        assert all(60.0 <= delay <= 80.0 for delay in s.delays())
        assert len(s.delays()) == 2
        reason = s.why("forbidden")
        assert 'a ClusterRole needs: apiGroups [""], resources ["pods"], verbs ["list", "watch"]' in reason


@pytest.mark.parametrize("line", ["<html>", '{"type":"ADDED"}', "[]", '{"type":"BOOKMARK","object":7}'])
async def test_garbage_in_the_stream_costs_the_stream(tmp_path: Path, line: str) -> None:
    async with scene(tmp_path, "a") as s:
        await s.watching()
        s.fake.line(line)
        await s.until(lambda: "away" in s.states())
        s.put("b")
        await s.until(lambda: s.pods() == {"a", "b"})


async def test_a_server_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    async with scene(tmp_path, "a", "b") as s:
        await s.watching()
        await s.fake.stop()
        await s.until(lambda: "away" in s.states())
        assert "cannot be reached" in s.why("away")
        assert s.pods() == {"a", "b"}
        s.fake.delete("pods", "b", "d")
        await s.fake.start()
        await s.until(lambda: s.pods() == {"a"})
        await s.watching()
        # Its history was kept, so nothing had to be listed.
        assert s.reflector.lists == 1


async def test_five_thousand_pods_stay_small(tmp_path: Path) -> None:
    padding = {"annotations": {"of no use": "x" * 2000}}

    def before(fake: FakeKube) -> None:
        for number in range(5000):
            fake.put("pods", {"metadata": {"name": f"p{number}", "namespace": "d", **padding}})

    async with scene(tmp_path, before=before) as s:
        await s.watching()
        assert len(s.pods()) == 5000
        one = next(iter(s.reflector.known.values()))
        assert "of no use" not in repr(one)
