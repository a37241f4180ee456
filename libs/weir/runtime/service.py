"""The shape of a service: what it takes and makes, as data, and one coroutine."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from weir.bus.api import Bus, Topic
from weir.model.counts import Counts
from weir.runtime.clock import Clock, SystemClock


class Context(msgspec.Struct, kw_only=True):
    """What a process gives its services."""

    bus: Bus
    clock: Clock = msgspec.field(default_factory=SystemClock)
    stop: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    """Set when the process drains: finish what was taken, flush, mark, leave."""
    ready: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    """Set by a stage that makes configuration when others of its process may rely on it."""
    instance: str = "weir"
    """Name of the installation: topic prefix, groups, locks."""
    cluster: str = ""
    process: str = "weir"
    """Name of this process that survives a restart (static membership, heartbeats)."""
    node: str = "local"
    embedded: bool = False
    """The bus lives in this process: what is on it at the end is gone."""
    counts: Counts = msgspec.field(default_factory=Counts)
    """Totals that cores and services add to; the process turns them into metrics and heartbeats."""
    modes: dict[str, str] = msgspec.field(default_factory=dict)
    """How each part works and why, e.g. `capture.source`; shown in `weir status`."""
    gauges: dict[str, Callable[[], float]] = msgspec.field(default_factory=dict)
    """Values that are read when a heartbeat is made."""
    lags: dict[str, Callable[[], dict[int, int]]] = msgspec.field(default_factory=dict)
    """Lag by topic name, from `Stream.lag`."""
    notes: dict[str, str] = msgspec.field(default_factory=dict)
    """What a person should know now, by part; removed when it is over."""
    shared: dict[str, Any] = msgspec.field(default_factory=dict)
    """Objects that stages of one process share (the in-memory archive)."""


class Service(ABC):
    """A stage. Subclasses declare what they consume, produce and read; topology, topics, Helm and compose are checked
    against these declarations."""

    name: ClassVar[str]
    title: ClassVar[str]
    Settings: ClassVar[type[msgspec.Struct]]
    consumes: ClassVar[tuple[Topic, ...]] = ()
    produces: ClassVar[tuple[Topic, ...]] = ()
    reads: ClassVar[tuple[Topic, ...]] = ()
    """Compacted topics read as tables."""

    def __init__(self, settings: Any, context: Context) -> None:
        self.settings = settings
        self.context = context

    def check(self) -> None:  # noqa: B027 (most stages have nothing to say)
        """Raise what is wrong between the stages of this process; called when all are made, before anything starts."""

    def misses(self) -> bool:
        """Whether what happens while it does not run is lost."""
        return False

    @abstractmethod
    async def run(self) -> None:
        """Work until `context.stop` is set (or the input ends), then drain: finish, flush, mark, return."""
