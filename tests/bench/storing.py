"""Entries into the embedded archive.

    python storing.py FILE TIMES FOLDER     what the case `store` runs as a process of its own
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from measure import Figure, Run, Skip

from weir.archive.api import Archive
from weir.archive.open import open_writer
from weir.cli.offline import STAGES, read_entries, with_files
from weir.query.structured import Query
from weir.runtime.process import load_settings
from weir.store.service import AT_ONCE
from weir.store.settings import StoreSettings

ENTRIES_PER_S = 30_000
TIMES, QUICK_TIMES = 8, 2


def store(run: Run) -> Iterator[Figure]:
    """Inserts as `store` makes them, by wall time, while the newest hundred are asked for again and again."""
    if find_spec("chdb") is None:
        raise Skip("chdb is not installed (pip install 'weir[embedded]')")
    times = QUICK_TIMES if run.quick else TIMES
    argv = [sys.executable, __file__, str(run.packets), str(times), str(run.folder / "store")]
    told = json.loads(subprocess.run(argv, check=True, capture_output=True, timeout=600).stdout.splitlines()[-1])
    rate = told["entries"] / told["wall_s"]
    yield Figure(
        case="store", what="entries a second into chdb, with a reader", value=rate, unit="/s",
        budget=f">= {ENTRIES_PER_S:,}", holds=rate >= ENTRIES_PER_S,
        note=f"{told['entries']:,} entries, {told['questions']} questions, {told['cpu_s'] / told['wall_s']:.1f} cores",
    )


async def _insert(entries: list[dict[str, Any]], times: int, folder: Path) -> dict[str, float]:
    size = StoreSettings().batch_entries
    archive = await open_writer("chdb", folder, "127.0.0.1", 0)
    try:
        await archive.insert(entries[:10])
        questions: list[int] = []
        reader = asyncio.create_task(_ask(archive, questions))
        wall_s = cpu_s = 0.0
        for number in range(times):
            batches = [
                [{**entry, "id": f"{entry['id']}-{number}"} for entry in entries[at : at + size]]
                for at in range(0, len(entries), size)
            ]
            begun, cpu = time.monotonic(), time.process_time()
            await asyncio.gather(*(_insert_all(archive, batches) for _ in range(AT_ONCE)))
            wall_s += time.monotonic() - begun
            cpu_s += time.process_time() - cpu
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reader
    finally:
        await archive.close()
    return {"entries": times * len(entries), "wall_s": wall_s, "cpu_s": cpu_s, "questions": len(questions)}


async def _insert_all(archive: Archive, batches: list[list[dict[str, Any]]]) -> None:
    while batches:
        await archive.insert(batches.pop())


async def _ask(archive: Archive, found: list[int]) -> None:
    while True:
        found.append(len((await archive.query(Query(limit=100))).entries))
        await asyncio.sleep(0.1)


def main() -> None:
    file, times, folder = sys.argv[1:]
    loaded = load_settings(list(STAGES), with_files({}, [file]), environ=dict(os.environ))
    entries = asyncio.run(read_entries(loaded))
    sys.stdout.write(json.dumps(asyncio.run(_insert(entries, int(times), Path(folder)))) + "\n")


if __name__ == "__main__":
    main()
