"""^C: the first one asks for the end, a second one does not wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def interruptible(stop: asyncio.Event) -> Iterator[None]:
    """Inside the block SIGINT and SIGTERM set `stop`; the second one cancels the running task."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def asked() -> None:
        if stop.is_set() and task is not None:
            task.cancel()
        stop.set()

    for number in SIGNALS:
        loop.add_signal_handler(number, asked)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
