"""filter without I/O: configuration and packet blocks in, records for `weir.segments` out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from weir.bus.api import Received, Record
from weir.directory import Directory
from weir.directory.selector import Selector
from weir.engine.api import EngineLimits
from weir.engine.select import header_engine
from weir.errors import SettingsError
from weir.filter.policy import FilterPolicy
from weir.filter.settings import FilterSettings
from weir.model.control import OUTLINE, Control, EndpointRecord
from weir.model.counts import Counts
from weir.net.target import Target, parse_target


class FilterCore:
    """One instance of filter. Raises SettingsError for an `exclude` that is no ADDRESS:PORT."""

    def __init__(self, settings: FilterSettings, *, shards: int, counts: Counts) -> None:
        self._directory = Directory()
        self.policy = FilterPolicy(self._directory, excluded=excluded(settings.exclude), sticky=settings.sticky)
        limits = EngineLimits(
            flows=settings.flows,
            fragment_ns=int(settings.fragments_s * 1e9),
            fragment_datagrams=settings.fragments_datagrams,
            fragment_bytes=settings.fragments_bytes,
        )
        self.engine = header_engine(self.policy, shards=shards, limits=limits, counts=counts)

    def configure(self, control: Any, endpoints: Iterable[tuple[bytes, Any]]) -> None:
        """What holds from the next block on; values of other types (undecodable ones) count as absent."""
        self.policy.adopt(control if isinstance(control, Control) else OUTLINE)
        self._directory.follow((key, record) for key, record in endpoints if isinstance(record, EndpointRecord))

    def step(self, received: Received) -> list[Record]:
        """What one packet block makes."""
        blocks = self.engine.segments(received.value, received.partition, received.offset)
        return [Record(str(block.shard).encode(), block, block.shard) for block in blocks]


def excluded(texts: Iterable[str]) -> Selector:
    """The listeners whose conversations are weir's own."""
    return Selector([_listener(text) for text in texts])


def _listener(text: str) -> Target:
    target = parse_target(text)
    network = target.network
    if network is None or not target.port or network.prefixlen != network.max_prefixlen:
        raise SettingsError(
            f"filter.exclude: {text!r} is not ADDRESS:PORT", hint="for example 10.0.0.1:8080 or [2001:db8::1]:8080"
        )
    return target
