"""The whole cluster, or some of its namespaces, as one stream of changes.

One watch for each kind and, where only some namespaces are watched, for each of them: as many streams as that, however
many nodes and pods there are, and no polls. Owners are not watched: a pod tells whom it works for (`owners`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Self

from weir.runtime.clock import Clock, SystemClock
from weir.targets.kube.client import KubeClient
from weir.targets.kube.objects import KINDS, Change, Kind, Watching
from weir.targets.kube.reflector import Pace, Reflector
from weir.targets.kube.values import RESOURCES

WAITING = 10_000
"""Changes that wait to be taken. When there are more, streams are held back; a server ends a stream that is held for
long, and then all is listed again."""


class ClusterWatch:
    """Use as an async context manager; the watches run inside it."""

    def __init__(
        self,
        client: KubeClient,
        *,
        namespaces: Sequence[str] = (),
        clock: Clock | None = None,
        chance: random.Random | None = None,
        pace: Pace | None = None,
        kinds: Sequence[Kind] = KINDS,
    ) -> None:
        """`namespaces`: empty for the whole cluster; else only these, and neither nodes nor namespaces."""
        self._changes: asyncio.Queue[Change] = asyncio.Queue(WAITING)
        self._tasks = asyncio.TaskGroup()
        self._running: list[asyncio.Task[None]] = []
        self.reflectors: dict[tuple[Kind, str], Reflector] = {}
        """By kind and namespace (empty: of the whole cluster)."""
        self.unwatched: list[Kind] = []
        clock = clock or SystemClock()
        chance = chance or random.Random()
        for kind in kinds:
            resource = RESOURCES[kind]
            if namespaces and not resource.scoped:
                self.unwatched.append(kind)
                continue
            for namespace in sorted(set(namespaces)) or [""]:
                self.reflectors[kind, namespace] = Reflector(
                    client, resource, self._changes.put, clock=clock, chance=chance, namespace=namespace, pace=pace
                )

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        for kind in self.unwatched:
            self._changes.put_nowait(
                Watching(kind=kind, state="unwatched", reason="this installation is for some namespaces only")
            )
        self._running = [self._tasks.create_task(reflector.run()) for reflector in self.reflectors.values()]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._running:
            task.cancel()
        await self._tasks.__aexit__(None, None, None)

    async def changes(self) -> AsyncIterator[Change]:
        """For ever."""
        while True:
            yield await self._changes.get()

    async def take(self) -> list[Change]:
        """All changes that are there, at least one: for those who publish once for many."""
        changes = [await self._changes.get()]
        while not self._changes.empty():
            changes.append(self._changes.get_nowait())
        return changes

    @property
    def whole(self) -> bool:
        """Every kind that is watched has been listed, or cannot be; the changes may still wait to be taken."""
        return all(reflector.settled for reflector in self.reflectors.values())

    @property
    def unreadable(self) -> int:
        """Objects that were passed over since they are not what the API promises."""
        return sum(reflector.unreadable for reflector in self.reflectors.values())

    def trouble(self) -> dict[str, str]:
        """What does not work now, by `kind` or `kind/namespace`, in words."""
        return {
            f"{kind}/{namespace}" if namespace else kind: f"{reflector.state}: {reflector.reason}"
            for (kind, namespace), reflector in self.reflectors.items()
            if reflector.state in ("away", "forbidden")
        }
