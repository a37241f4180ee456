"""An event loop in which time is a number: waiting costs nothing, and one seed decides the order of everything.

Tasks that are ready at the same moment run in a shuffled order, as threads of many machines would; nothing here reads
a clock, a socket or a file. What happens on the loop can be counted in steps, so that a process can be killed at any
of its awaits.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import selectors
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")
Tasks = set["asyncio.Task[Any]"]

OWNER: ContextVar[Tasks | None] = ContextVar("OWNER", default=None)
"""The tasks of the process that runs: whoever starts one adds to it."""


STEP_S = 1e-6
"""What a round of the loop takes: whoever waits for a moment that is as good as now gets there."""


class Deadlock(RuntimeError):
    """Nothing is ready and nothing will ever be."""


class _Waiting(selectors.BaseSelector):
    """Stands where a loop waits for sockets: moves its time on."""

    def __init__(self) -> None:
        self.now = 0.0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, 0, None)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("every task waits for another one")
        self.now += max(timeout, 0.0)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}


class VirtualLoop(asyncio.SelectorEventLoop):
    """Seconds pass when nobody has anything to do."""

    def __init__(self, chance: random.Random, *, shuffle: bool = True) -> None:
        self._waiting = _Waiting()
        super().__init__(self._waiting)
        self.steps = 0
        """How often the loop went round."""
        self._chance = chance
        self._shuffle = shuffle
        self._serial = itertools.count()
        self._hooks: list[tuple[int, int, asyncio.Future[None]]] = []
        self.set_task_factory(_owned)

    def time(self) -> float:
        return self._waiting.now

    async def after(self, steps: int) -> None:
        """Wait until the loop went round so often."""
        woken = self.create_future()
        heapq.heappush(self._hooks, (self.steps + steps, next(self._serial), woken))
        await woken

    def _run_once(self) -> None:
        self.steps += 1
        self._waiting.now += STEP_S
        while self._hooks and self._hooks[0][0] <= self.steps:
            woken = heapq.heappop(self._hooks)[2]
            if not woken.done():
                woken.set_result(None)
        ready = self._ready  # type: ignore[attr-defined]
        if self._shuffle and len(ready) > 1:
            handles = list(ready)
            self._chance.shuffle(handles)
            ready.clear()
            ready.extend(handles)
        super()._run_once()  # type: ignore[misc]


class _Numbered(asyncio.Task[Any]):
    """A task whose place in a set does not depend on where in memory it lies, so that a run repeats itself."""

    numbers: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self, *args: Any, **options: Any) -> None:
        self._number = next(_Numbered.numbers)
        super().__init__(*args, **options)

    def __hash__(self) -> int:
        return self._number


def _owned(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = _Numbered(coro, loop=loop, **options)
    tasks = OWNER.get()
    if tasks is not None:
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    return task


class VirtualClock:
    """`weir.runtime.clock.Clock` on the running loop."""

    def __init__(self, began_ns: int = 1_800_000_000_000_000_000) -> None:
        self._began_ns = began_ns

    def now_ns(self) -> int:
        return self._began_ns + int(self.monotonic() * 1e9)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run_virtual(
    main: Callable[[VirtualLoop], Coroutine[Any, Any, T]], chance: random.Random, *, shuffle: bool = True
) -> T:
    """Run to the end of `main` on a loop of its own."""
    _Numbered.numbers = itertools.count()
    loop = VirtualLoop(chance, shuffle=shuffle)
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main(loop))
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()
