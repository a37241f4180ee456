"""Which twin does the work."""

from __future__ import annotations

from weir.engine.api import EngineLimits, HeaderEngine, Policy
from weir.engine.pure import PureHeaderEngine
from weir.model.counts import Counts


def header_engine(
    policy: Policy, *, shards: int, limits: EngineLimits | None = None, counts: Counts | None = None
) -> HeaderEngine:
    """The header engine of this process; it adds to `counts`."""
    return PureHeaderEngine(policy, shards=shards, limits=limits, counts=counts)
