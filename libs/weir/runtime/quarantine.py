"""What to do with records that cannot be decoded: refer to them in `weir.dead`, and stop before a topic is drained."""

from __future__ import annotations

from weir.bus.api import Batch, Received, Record, Topic, Undecodable
from weir.bus.topics import DEAD
from weir.errors import Quarantined
from weir.model.health import DeadLetter
from weir.runtime.service import Context


class Quarantine:
    """Sifts the batches of one stage.

    A value of a newer major version is waited for with the mark held: a rolling upgrade passes, and nothing is lost.
    Garbage becomes a dead letter. When more than `max_share` of the last records were garbage (and at least `at_least`
    of them), the stage stops: a bad deployment must not drain a topic.
    """

    def __init__(self, context: Context, stage: str, *, max_share: float = 0.1, at_least: int = 50) -> None:
        self._context = context
        self._stage = stage
        self._max_share = max_share
        self._at_least = at_least
        self._seen = 0
        self._bad = 0

    async def sift(self, topic: Topic, batch: Batch) -> Batch:
        """The records that can be processed, and what to mark when they are; waits (until the process drains) where a
        newer weir wrote one, and then ends the batch before it."""
        sifted = await self.without_garbage(topic, batch)
        for number, record in enumerate(sifted.records):
            if isinstance(record.value, Undecodable):
                await self._wait(topic, record)
                return Batch(batch.partition, sifted.records[:number], record.offset)
        return sifted

    async def without_garbage(self, topic: Topic, batch: Batch) -> Batch:
        """The same without waiting: where a newer weir wrote something, it and all behind it stays in the batch."""
        if not any(isinstance(r.value, Undecodable) for r in batch.records):
            self._count(len(batch.records), 0)
            return batch
        good: list[Received] = []
        bad = 0
        for number, record in enumerate(batch.records):
            if not isinstance(record.value, Undecodable):
                good.append(record)
            elif record.value.newer:
                good += batch.records[number:]
                break
            else:
                bad += 1
                await self.bury(topic, record, record.value.reason, record.value.size)
        self._count(len(good) + bad, bad)
        return Batch(batch.partition, good, batch.next_offset)

    async def bury(self, topic: Topic, record: Received, reason: str, size: int = 0) -> None:
        """Refer to a record that cannot be processed."""
        context = self._context
        context.counts.lose(f"{self._stage}.undecodable")
        letter = DeadLetter(
            topic=topic.name,
            partition=record.partition,
            offset=record.offset,
            stage=self._stage,
            reason=reason[:500],
            size=size,
            at_ns=context.clock.now_ns(),
        )
        await context.bus.publish(DEAD, [Record(f"{topic.name}/{record.partition}/{record.offset}".encode(), letter)])

    async def _wait(self, topic: Topic, record: Received) -> None:
        part = f"{self._stage}.{topic.name}"
        reason = record.value.reason
        self._context.notes[part] = (
            f"waits at {topic.name}/{record.partition} offset {record.offset}: {reason}; upgrade this process"
        )
        await self._context.stop.wait()
        del self._context.notes[part]

    def _count(self, seen: int, bad: int) -> None:
        self._seen += seen
        self._bad += bad
        if self._bad >= self._at_least and self._bad > self._max_share * self._seen:
            raise Quarantined(
                f"{self._stage}: {self._bad} of the last {self._seen} records cannot be decoded",
                hint="the topic `dead` has the reasons: something else writes to weir's topics, or versions differ",
            )
        if self._seen >= 100_000:
            self._seen //= 2
            self._bad //= 2
