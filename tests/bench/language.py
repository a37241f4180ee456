"""What the filter language costs for each entry, as the live tail asks it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator

from measure import Figure, Run

from weir.cli.offline import STAGES, read_entries, with_files
from weir.query.filter.check import check
from weir.query.filter.python import predicate
from weir.runtime.process import load_settings

ASKED = 'http && status_code >= 500 && path.startsWith("/api")'
PER_CPU_S = 1_000_000
ROUNDS = 25


def predicates(run: Run) -> Iterator[Figure]:
    """All entries of the file, again and again; some are answered by the first term, some by all three."""
    loaded = load_settings(list(STAGES), with_files({}, [str(run.packets)]), environ=dict(os.environ))
    entries = asyncio.run(read_entries(loaded))
    fits = predicate(check(ASKED, now_ns=time.time_ns()))
    found = sum(map(fits, entries))
    begun = time.process_time()
    for _ in range(ROUNDS):
        for entry in entries:
            fits(entry)
    rate = ROUNDS * len(entries) / (time.process_time() - begun)
    yield Figure(
        case="predicate", what=f"evaluations of `{ASKED}` per CPU-second", value=rate, unit="/s",
        budget=f">= {PER_CPU_S:,}", holds=rate >= PER_CPU_S, note=f"{found:,} of {len(entries):,} entries fit",
    )
