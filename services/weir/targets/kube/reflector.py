"""One kind of the Kubernetes API, followed for ever: list, watch, resume, and say how it goes.

A streaming list (`sendInitialEvents`) where the server has it, else a list in pages and a watch from there. Bookmarks
keep the place, so that a watch that ends, stalls or breaks goes on without a list. When the place is too old (410) all
is listed again, and what is gone is told. What events mean is known to `mirror`; this module brings the bytes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal, TypeVar

import msgspec

from weir.runtime.clock import Clock
from weir.targets.kube.client import KubeClient
from weir.targets.kube.faults import GONE, ApiError, Backoff, missing_rule
from weir.targets.kube.lines import Lines, LineTooLong
from weir.targets.kube.mirror import Mirror
from weir.targets.kube.objects import Change, Object, Watching
from weir.targets.kube.values import Resource

T = TypeVar("T")
Tell = Callable[[Change], Awaitable[None]]
State = Literal["listing", "watching", "away", "forbidden", "unwatched"]


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How patient a reflector is, in seconds, and how much it asks for at once."""

    page: int = 500
    """Objects of one page of a list."""
    watch_s: tuple[int, int] = (240, 480)
    """A watch is asked to end after a random time between these, so that servers share the load."""
    quiet_s: float = 90.0
    """Servers send a bookmark about once a minute (seen: 60 to 69 s): a stream silent for longer has stalled."""
    slack_s: float = 30.0
    """A watch that goes on for longer than asked, by this, is ended from here."""
    refused_s: tuple[float, float] = (60.0, 120.0)
    """A kind that is forbidden or not served is asked for again after a random time between these."""
    abrupt_s: float = 1.0
    """A watch that ends sooner without an event is as good as refused, and one that breaks sooner did not work."""


class Reflector:
    """`run` it; `tell` is awaited for each change, in order, and holds the stream back while it waits."""

    def __init__(
        self,
        client: KubeClient,
        resource: Resource[Any],
        tell: Tell,
        *,
        clock: Clock,
        chance: random.Random,
        namespace: str = "",
        pace: Pace | None = None,
    ) -> None:
        self.state: State = "listing"
        self.reason = ""
        self.streams = True
        """The server has the streaming list, as far as is known."""
        self.lists = 0
        """Lists begun since the start, streaming ones included."""
        self.watches = 0
        """Watches begun since the start, streaming lists included."""
        self._mirror = Mirror(resource, namespace)
        self._client = client
        self._tell = tell
        self._clock = clock
        self._chance = chance
        self._pace = pace or Pace()
        self._backoff = Backoff(chance)
        self._path = resource.path(namespace)
        self._expired = False
        self._page_once = False
        self._told: Watching | None = None

    @property
    def known(self) -> dict[str, Object]:
        """By `namespace/name`, as told last."""
        return self._mirror.known

    @property
    def unreadable(self) -> int:
        return self._mirror.unreadable

    @property
    def settled(self) -> bool:
        """All has been listed, or cannot be."""
        return bool(self._mirror.version) or self.state == "forbidden"

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._follow()
            except ApiError as error:
                await self._trouble(error)

    async def _follow(self) -> None:
        if self._mirror.version:
            await self._watch()
            return
        if self.state not in ("away", "forbidden"):
            await self._say("listing")
        self.lists += 1
        self._mirror.restart()
        if self.streams and not self._page_once:
            await self._watch()
            return
        await self._list()
        self._page_once = False
        await self._watch()

    async def _list(self) -> None:
        query = {"limit": str(self._pace.page)}
        restarted = False
        while True:
            try:
                token, whole = self._mirror.page(await self._client.get(self._path, query))
            except ApiError as error:
                if error.status != GONE or "continue" not in query:
                    raise
                # The token of the next page is too old. Once from the start; then without pages, as client-go does it.
                self._mirror.restart()
                query = {} if restarted else {"limit": str(self._pace.page)}
                restarted = True
                continue
            if whole is not None:
                await self._tell(whole)
                return
            query = {"limit": str(self._pace.page), "continue": token}

    async def _watch(self) -> None:
        """One watch to its end. Without a version to go on from it is a streaming list first."""
        mirror = self._mirror
        seconds = self._chance.randint(*self._pace.watch_s)
        query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        if mirror.version:
            query["resourceVersion"] = mirror.version
        else:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        began = self._clock.monotonic()
        self.watches += 1
        lines = Lines()
        heard = False
        async with self._client.stream(self._path, query) as stream:
            while True:
                if mirror.version and self.state != "watching":
                    await self._say("watching")
                left = began + seconds + self._pace.slack_s - self._clock.monotonic()
                chunk = await self._within(min(left, self._pace.quiet_s), stream.read())
                if not chunk:
                    break
                heard = await self._take(lines, chunk) or heard
                if heard and mirror.version and self._clock.monotonic() - began >= self._pace.abrupt_s:
                    self._backoff.reset()
                    self._expired = False
        if not mirror.version:
            raise ApiError(f"{self._path}: the stream ended before all was listed")
        if not heard and self._clock.monotonic() - began < self._pace.abrupt_s:
            raise ApiError(f"{self._path}: the stream ended at once")

    async def _take(self, lines: Lines, chunk: bytes) -> bool:
        try:
            complete = lines.feed(chunk)
        except LineTooLong:
            raise ApiError(f"{self._path}: a line of the stream has no end") from None
        for line in complete:
            for change in self._mirror.event(line):
                await self._tell(change)
        return bool(complete)

    async def _within(self, seconds: float, work: Coroutine[Any, Any, T]) -> T:
        """:raises ApiError: the clock was faster."""
        working = asyncio.ensure_future(work)
        alarm = asyncio.ensure_future(self._clock.sleep(max(seconds, 0.0)))
        try:
            await asyncio.wait((working, alarm), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            # A server that does not know the streaming list at all never says that all was listed.
            self._page_once = not self._mirror.version
            raise ApiError(f"{self._path}: the stream is silent")
        finally:
            for task in (working, alarm):
                task.cancel()
            await asyncio.gather(working, alarm, return_exceptions=True)

    async def _trouble(self, error: ApiError) -> None:
        mirror = self._mirror
        if error.status == GONE:
            mirror.restart()
            if not self._expired:
                self._expired = True
                return
        elif not mirror.version and self.streams and not self._page_once and error.no_streaming_list:
            self.streams = False
            return
        if error.status in (403, 404):
            rule = missing_rule(mirror.resource.group, mirror.resource.kind, mirror.namespace)
            await self._say("forbidden", f"{error.message} ({rule})" if error.status == 403 else error.message)
            await self._clock.sleep(max(self._chance.uniform(*self._pace.refused_s), error.retry_after))
            return
        await self._say("away", error.message)
        await self._clock.sleep(max(self._backoff.next(), error.retry_after))

    async def _say(self, state: State, reason: str = "") -> None:
        self.state, self.reason = state, reason
        said = Watching(kind=self._mirror.resource.kind, namespace=self._mirror.namespace, state=state, reason=reason)
        if said != self._told:
            self._told = said
            await self._tell(said)
