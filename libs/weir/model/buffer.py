"""The type of bulk data that may still lie in a foreign buffer (a ring, a mapped file)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Buffer = bytes | memoryview
else:
    # A value that came over the bus holds bytes. msgspec reads annotations when it decodes, and refuses a union of two
    # types that both arrive as binary.
    Buffer = bytes
