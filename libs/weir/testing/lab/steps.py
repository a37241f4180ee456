"""Tasks that work inside a network namespace while others of the same thread work elsewhere.

    with in_namespaces():                   # the running loop's tasks know where they belong
        with inside(node):
            task = asyncio.ensure_future(service.run())     # and all tasks that it starts

A thread is in one namespace at a time, so a task enters its own for each step that it takes, and leaves it after. What
others do on behalf of it (executors, callbacks) is done outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import types
from collections.abc import Coroutine, Generator, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

from weir.testing.netns import Namespace

Result = TypeVar("Result")
_HOME: ContextVar[Namespace | None] = ContextVar("_HOME", default=None)


@contextlib.contextmanager
def in_namespaces() -> Iterator[None]:
    """For the running loop."""
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    loop.set_task_factory(_make_task)
    try:
        yield
    finally:
        loop.set_task_factory(before)


@contextlib.contextmanager
def inside(where: Namespace) -> Iterator[None]:
    """Tasks that are made here take their steps in this namespace."""
    token = _HOME.set(where)
    try:
        yield
    finally:
        _HOME.reset(token)


def _make_task(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Result] | Generator[Any, None, Result], **more: Any
) -> asyncio.Task[Result]:
    where = _HOME.get()
    return asyncio.Task(work if where is None else _entered(work, where), loop=loop, **more)


async def _entered(
    work: Coroutine[Any, Any, Result] | Generator[Any, None, Result], where: Namespace
) -> Result:
    return await _steps(work, where)


@types.coroutine
def _steps(
    work: Coroutine[Any, Any, Result] | Generator[Any, None, Result], where: Namespace
) -> Generator[Any, Any, Result]:
    sent: Any = None
    thrown: BaseException | None = None
    while True:
        with where.entered():
            try:
                waits_for = work.throw(thrown) if thrown is not None else work.send(sent)
            except StopIteration as done:
                result: Result = done.value
                return result
        sent = thrown = None
        try:
            sent = yield waits_for
        except GeneratorExit:
            work.close()
            raise
        except BaseException as error:
            thrown = error
