"""Python's cycle collector, told what these processes are like.

Nearly everything that a stage makes for a packet or an entry is freed by its reference count a moment later, and what
stays (modules, settings, open conversations) holds no cycles. With the usual threshold of 700 objects the collector
goes through all of it many times a second and finds nothing: a tenth of the CPU of a decoder.
"""

from __future__ import annotations

import gc

YOUNG = 25_000
"""New objects that live on before the youngest generation is looked at: at most some MB of garbage in cycles."""


def settle() -> None:
    """Once, when a process has started: what exists now is looked at no more, and what comes is looked at less."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 50)
