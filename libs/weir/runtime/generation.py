"""Holds what was made under configuration that this process has not read yet: `control` and `endpoints` may come later
than the blocks that were made under them, and what is targeted must not be taken for an outline meanwhile, nor a new
pod for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from weir.bus.api import Batch, Table
from weir.model.control import Control, EndpointRecord
from weir.runtime.service import Context


class RevisionGate:
    """Of one stage: batches of blocks that name a number wait until what a table tells has reached it, at most
    `wait_s`; then they are let through, and a number that was waited for in vain is not waited for again.

        <stage>.<what>_late         times that it did not come in time
    """

    def __init__(
        self, context: Context, stage: str, table: Table, wait_s: float, *,
        field: str, what: str, said: str, known: Callable[[], int],
    ) -> None:
        """`field` of a block is the number, `known` tells that of the table; `what` is waited for, `said` in words."""
        self._context = context
        self._counter = f"{stage}.{what}_late"
        self._part = f"{stage}.{field}"
        self._said = said
        self._table = table
        self._wait_s = wait_s
        self._field = field
        self._known = known
        self._passed = 0

    async def hold(self, batch: Batch) -> Batch:
        """The batch once it can be worked on. Nothing of it, to be marked where it begins, if the process drains
        before that."""
        wanted = max((getattr(r.value, self._field, 0) for r in batch.records), default=0)
        if wanted <= self._passed or wanted <= self._known():
            return batch
        self._context.notes[self._part] = f"waits for {self._said} {wanted}, has {self._known()}"
        try:
            async with asyncio.timeout(self._wait_s):
                if not await self._until(wanted):
                    return Batch(batch.partition, [], batch.records[0].offset)
        except TimeoutError:
            self._passed = wanted
            self._context.counts.add(self._counter)
        finally:
            self._context.notes.pop(self._part, None)
        return batch

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


class ControlGate(RevisionGate):
    """Waits for the control document (`generation`) under which a block was made: `<stage>.control_late`."""

    def __init__(self, context: Context, stage: str, table: Table, wait_s: float) -> None:
        super().__init__(
            context, stage, table, wait_s, field="generation", what="control", said="control document",
            known=self._of_document,
        )

    def _of_document(self) -> int:
        control = self._table.get(self._context.instance.encode())
        return control.generation if isinstance(control, Control) else 0


class EndpointsGate(RevisionGate):
    """Waits for the endpoints (`revision`) that were known when a block was made: `<stage>.endpoints_late`."""

    def __init__(self, context: Context, stage: str, table: Table, wait_s: float) -> None:
        super().__init__(
            context, stage, table, wait_s, field="revision", what="endpoints", said="endpoints of revision",
            known=NewestRevision(table).read,
        )


class NewestRevision:
    """The newest `EndpointRecord.revision` that a table has shown; each change is looked at once."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._seen = 0
        self._newest = 0

    def read(self) -> int:
        table = self._table
        if self._seen != table.version:
            keys = table.changes(self._seen)
            self._seen = table.version
            records = (value for _, value in table.items()) if keys is None else map(table.get, keys)
            found = (r.revision for r in records if isinstance(r, EndpointRecord))
            self._newest = max(self._newest, max(found, default=0))
        return self._newest
