"""Holds what was made under a control document that this process has not read yet: `control` may come later than the
blocks that were captured under it, and what is targeted must not be taken for an outline meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

from weir.bus.api import Batch, Table
from weir.model.control import Control
from weir.runtime.service import Context


class ControlGate:
    """Of one stage: batches of blocks that carry a `generation` wait until its table of `control` has it, at most
    `wait_s`; then they are let through, and a generation that was waited for in vain is not waited for again.

        <stage>.control_late        times that the document did not come in time
    """

    def __init__(self, context: Context, stage: str, table: Table, wait_s: float) -> None:
        self._context = context
        self._stage = stage
        self._table = table
        self._wait_s = wait_s
        self._passed = 0

    async def hold(self, batch: Batch) -> Batch:
        """The batch once it can be worked on. Nothing of it, to be marked where it begins, if the process drains
        before that."""
        wanted = max((_generation(r.value) for r in batch.records), default=0)
        if wanted <= max(self._known(), self._passed):
            return batch
        part = f"{self._stage}.generation"
        self._context.notes[part] = f"waits for control document {wanted}, has {self._known()}"
        try:
            async with asyncio.timeout(self._wait_s):
                if not await self._until(wanted):
                    return Batch(batch.partition, [], batch.records[0].offset)
        except TimeoutError:
            self._passed = wanted
            self._context.counts.add(f"{self._stage}.control_late")
        finally:
            self._context.notes.pop(part, None)
        return batch

    def _known(self) -> int:
        control = self._table.get(self._context.instance.encode())
        return control.generation if isinstance(control, Control) else 0

    async def _until(self, wanted: int) -> bool:
        """False if the process is told to stop first."""
        stop = asyncio.ensure_future(self._context.stop.wait())
        try:
            while self._known() < wanted and not stop.done():
                change = asyncio.ensure_future(self._table.changed(self._table.version))
                try:
                    await asyncio.wait({change, stop}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    change.cancel()
            return self._known() >= wanted
        finally:
            stop.cancel()


def _generation(value: Any) -> int:
    return getattr(value, "generation", 0)
