"""A Docker engine for tests: the user's where there is one, else a private one that leaves the machine as it was.

The private engine is Debian's dockerd in network, mount and process namespaces of its own, with its own socket and data
root; slirp4netns gives it the way out, so that no address, route, filter or forwarding of the host changes, and its
"host network" is its namespace. Images that no registry hands out here are replaced by stand-ins (`standins`).
"""

from __future__ import annotations

from weir.testing.engine.daemon import EngineError, PrivateEngine

__all__ = ["EngineError", "PrivateEngine"]
