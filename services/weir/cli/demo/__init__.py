"""The demo application of `weir up --demo`: a small shop to watch.

Visitors call a frontend; it calls a catalog and a checkout over HTTP/1.1; the checkout charges cards over gRPC; each
finds the others by asking the shop's own DNS server. Some calls fail, some are slow, some carry what has to be masked.
Everything runs on loopback addresses of its own, or, with roles and addresses from the environment, in containers.
It knows nothing of weir's stages, and they know nothing of it.
"""

from __future__ import annotations

from weir.cli.demo.recorded import RECORDING, recorded_endpoints, recorded_targets
from weir.cli.demo.shop import Demo

__all__ = ["RECORDING", "Demo", "recorded_endpoints", "recorded_targets"]
