"""filter without I/O: configuration and packet blocks in, records for `weir.segments` out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from weir.bus.api import Received, Record
from weir.directory import Directory
from weir.directory.selector import Selector
from weir.engine.api import EngineLimits
from weir.engine.select import header_engine
from weir.errors import SettingsError
from weir.filter.hold import Hold
from weir.filter.policy import FilterPolicy
from weir.filter.settings import FilterSettings
from weir.model.control import OUTLINE, Control, EndpointRecord
from weir.model.counts import Counts
from weir.model.segments import SegmentBlock
from weir.net.target import Target, parse_target


class FilterCore:
    """One instance of filter. Raises SettingsError for an `exclude` that is no ADDRESS:PORT.

    `now_ns` is the time at which something became known; `now_s` is of a clock that never jumps.
    """

    def __init__(self, settings: FilterSettings, *, shards: int, counts: Counts) -> None:
        self._directory = Directory()
        self.policy = FilterPolicy(self._directory, own=own_ends(settings.exclude), sticky=settings.sticky)
        limits = EngineLimits(
            flows=settings.flows,
            fragment_ns=int(settings.fragments_s * 1e9),
            fragment_datagrams=settings.fragments_datagrams,
            fragment_bytes=settings.fragments_bytes,
        )
        self.engine = header_engine(self.policy, shards=shards, limits=limits, counts=counts)
        self.hold = Hold(
            self.engine, self.policy, hold_ns=int(settings.hold_s * 1e9), max_bytes=settings.hold_bytes, counts=counts
        )

    def configure(self, control: Any, endpoints: Iterable[tuple[bytes, Any]] = (), now_ns: int = 0) -> None:
        """What holds from the next block on; values of other types (undecodable ones) count as absent."""
        self.learn(endpoints, now_ns)
        self.policy.adopt(control if isinstance(control, Control) else OUTLINE, now_ns)

    def learn(self, changes: Iterable[tuple[bytes, Any]], now_ns: int = 0) -> None:
        """What changed of the endpoints; None for what is gone."""
        self.policy.learn(
            ((key, record if isinstance(record, EndpointRecord) else None) for key, record in changes), now_ns
        )

    def step(self, received: Received, now_s: float = 0.0) -> list[Record]:
        """What one packet block makes, and what waited for its time to pass."""
        return records(self.hold.take(received, now_s))

    def release(self, silent_before_s: float | None = None) -> list[Record]:
        """What need not wait any longer: its flows are settled, or its ring has been silent since then."""
        return records(self.hold.release(silent_before_s))

    @property
    def leaks(self) -> int:
        """Packets so far whose payload their source had promised to keep back."""
        return sum(n for name, n in self.engine.counts.items() if name.startswith("filter.leaked{"))

    def drain(self) -> list[Record]:
        """All that waits, decided by what is known."""
        return records(self.hold.drain())


def records(blocks: Sequence[SegmentBlock]) -> list[Record]:
    return [Record(str(block.shard).encode(), block, block.shard) for block in blocks]


def own_ends(texts: Iterable[str]) -> Selector:
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
