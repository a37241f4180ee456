"""Reading from Kafka: one member of a group, or a reader of every partition.

Everything that a service hands in (`on_revoked`, `on_assigned`) runs inside the iteration, between two batches, never
while a batch is worked on. aiokafka's coordinator waits for that as long as a rebalance may take; who comes back later
has lost its partitions: its marks are ignored and it joins anew.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)

from weir.bus.api import Batch, OnAssigned, OnRevoked, Overtaken, Received, Start, Topic
from weir.bus.codec import decode
from weir.bus.kafka_group import all_given
from weir.bus.kafka_link import Away, Backoff, Link, abandon, dispose, within
from weir.bus.kafka_marks import Marks
from weir.errors import BusError

T = TypeVar("T")
BATCH_RECORDS = 500
_POLL_S = 1.0
_NOTHING_S = 5.0
"""Who was given nothing for so long looks whether others have everything."""
ANEW = "Kafka has lost its data, or somebody deleted topics; processes that start make them and begin anew"
_FORBIDDEN = (GroupAuthorizationFailedError, TopicAuthorizationFailedError)


class KafkaStream:
    """See `weir.bus.api.Stream`. The consumer is made when the iteration begins, and again when it fails."""

    def __init__(
        self,
        link: Link,
        topic: Topic,
        partitions: Sequence[int],
        *,
        group: str | None,
        member: str = "",
        start: Start = "earliest",
        on_assigned: OnAssigned | None = None,
        on_revoked: OnRevoked | None = None,
    ) -> None:
        self.topic = topic
        self._link = link
        self._name = link.topic_name(topic.name)
        self._what = f"read {self._name}"
        self._partitions = partitions
        self._group = group
        self._member = member
        self._start = start
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._consumer: Any = None
        self._opening: asyncio.Task[Any] | None = None
        self._fetching: asyncio.Task[Any] | None = None
        self._marks = Marks(link, self._name, lambda: self._consumer)
        self._positions: dict[int, int] = {}
        """Next offset of each owned partition."""
        self._fetched: deque[Batch] = deque()
        self._incoming: frozenset[int] | None = None
        """Partitions that were assigned and have to be taken over before anything is read."""
        self._answered: dict[int, int] | None = None
        """Where `on_assigned` wants to start, once it was asked about `_incoming`."""
        self._leaving: asyncio.Future[None] | None = None
        """Done when `on_revoked` has run; aiokafka's coordinator waits for it."""
        self._wakeup: asyncio.Future[None] | None = None
        self._overtaken: list[Overtaken] = []
        self._ends: dict[int, int] = {}
        """Ends of the partitions when they were taken over."""
        self._resume: dict[int, int] = {}
        """Without a group: where the consumer that was given up had come to."""
        self._candidate: Any = None
        """The consumer whose callbacks count."""
        self._quiet = False
        """The last fetch found nothing."""
        self._idle_s = 0.0
        self._spare = False
        """Others have been seen to have everything since the last assignment."""
        self._closed = False
        self._failure: BusError | None = None
        """Why nothing will come any more."""

    def __aiter__(self) -> AsyncIterator[Batch]:
        return self

    async def __anext__(self) -> Batch:
        while not self._closed:
            if (batch := await self.poll()) is not None:
                return batch
        raise StopAsyncIteration

    async def poll(self) -> Batch | None:
        """The next batch; None after a second without one, after partitions were taken over, and when closed."""
        while not self._closed:
            if self._failure is not None:
                raise self._failure
            if self._consumer is None:
                await self._open()
            elif self._leaving is not None:
                await self._give_up()
            elif self._incoming is not None:
                if await self._take_over(self._incoming):
                    return None
            elif self._fetched:
                batch = self._fetched.popleft()
                if batch.partition in self._positions:
                    self._positions[batch.partition] = batch.next_offset
                    return batch
            elif await self._fetch():
                return None
        return None

    def caught_up(self) -> bool:
        """Whether everything was read that was there when the partitions were taken over."""
        if self._incoming is not None or not self._positions:
            return False
        # Compaction may have emptied the end of a log: then nothing comes although the end is not reached.
        return self._quiet or all(position >= self._ends[p] for p, position in self._positions.items())

    async def mark(self, partition: int, next_offset: int) -> None:
        if self._group is not None and partition in self._positions and not self._closed:
            self._marks.set(partition, next_offset)

    def assigned(self) -> frozenset[int]:
        return frozenset(self._positions)

    def position(self, partition: int) -> int | None:
        """The next offset that will be read; None while the partition is not owned."""
        return self._positions.get(partition)

    def lag(self) -> dict[int, int]:
        lag = {}
        for partition, position in self._positions.items():
            end = self._consumer.highwater(self._tp(partition)) if self._consumer is not None else None
            lag[partition] = max(0, (end or 0) - position)
        return lag

    def overtaken(self) -> list[Overtaken]:
        taken, self._overtaken = self._overtaken, []
        return taken

    async def close(self, deadline_s: float = 5.0) -> None:
        if self._closed:
            return
        self._closed = True
        self._wake()
        try:
            if self._consumer is not None and self._leaving is None:
                await self._marks.commit(deadline_s / 2)
        finally:
            self._marks.stop()
            self._release()
            if self._opening is not None:
                self._opening.cancel()
                await asyncio.wait({self._opening}, timeout=deadline_s / 2)
            await self._drop_consumer(deadline_s / 2)
            self._positions = {}

    def fail(self, error: BusError) -> None:
        """Whoever reads is told this instead of the next batch."""
        self._failure = error
        self._wake()

    async def crash(self) -> None:
        """End without a word to the broker."""
        self._closed = True
        self._marks.stop()
        self._wake()
        for task in (self._opening, self._fetching):
            if task is not None:
                task.cancel()
        candidate, self._candidate, self._consumer = self._candidate, None, None
        if candidate is not None:
            await abandon(candidate)
        self._release()
        self._positions = {}

    # -- the consumer

    async def _open(self) -> None:
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._connect())
        await self._wait({self._opening}, None)
        if self._opening is not None and self._opening.done():
            opening, self._opening = self._opening, None
            if opening.cancelled():
                return
            self._consumer = opening.result()
            self._idle_s = 0.0

    async def _connect(self) -> Any:
        backoff = Backoff()
        while True:
            self._candidate = consumer = self._link.consumer(self._group_name(), self._member)
            if self._group is None:
                consumer.assign([self._tp(partition) for partition in self._partitions])
            else:
                consumer.subscribe([self._name], listener=_Listener(self, consumer))
            try:
                await self._link.connect(consumer)
            except Away:
                await backoff.pause()
                continue
            if self._group is None:
                self._incoming = frozenset(self._partitions)
            return consumer

    async def _drop_consumer(self, deadline_s: float) -> None:
        # Not `_consumer`: one that has just connected may not have been taken up yet.
        candidate, self._candidate, self._consumer = self._candidate, None, None
        self._incoming = None
        self._answered = None
        self._fetched.clear()
        if self._fetching is not None:
            self._fetching.cancel()
            self._fetching = None
        if candidate is not None:
            await dispose(candidate, deadline_s)

    def _group_name(self) -> str | None:
        # A group for each topic: members of one group that read different topics would rebalance each other.
        return None if self._group is None else f"{self._link.instance}.{self._group}.{self.topic.name}"

    def _tp(self, partition: int) -> Any:
        return TopicPartition(self._name, partition)

    # -- rebalancing

    async def revoked(self, consumer: Any) -> None:
        """aiokafka's coordinator is about to rejoin; called in its task."""
        if self._closed or not self._positions or consumer is not self._candidate:
            return
        if consumer._coordinator.generation < 0:
            self._lose()  # the broker has dropped this member already
            return
        self._leaving = asyncio.get_running_loop().create_future()
        self._wake()
        _, late = await asyncio.wait({self._leaving}, timeout=0.8 * self._link.settings.rebalance_timeout_s)
        if late:
            self._lose()

    def assigned_by_group(self, partitions: Collection[Any], consumer: Any) -> None:
        """The group has settled; called in the coordinator's task."""
        if self._closed or consumer is not self._candidate:
            return
        self._lose()
        self._incoming = frozenset(tp.partition for tp in partitions)
        self._answered = None
        self._idle_s = 0.0
        self._spare = False
        for tp in partitions:
            consumer.pause(tp)  # nothing is fetched before it is known from where
        self._wake()

    def _lose(self) -> None:
        """Partitions are gone without a last word."""
        self._marks.forget(tuple(self._positions))
        self._positions = {}
        self._fetched.clear()
        self._release()

    def _release(self) -> None:
        leaving, self._leaving = self._leaving, None
        if leaving is not None and not leaving.done():
            leaving.set_result(None)

    async def _give_up(self) -> None:
        leaving = self._leaving
        self._fetched.clear()
        if self._on_revoked is not None:
            await self._on_revoked(sorted(self._positions))
        committing = asyncio.ensure_future(self._marks.commit(self._link.settings.request_timeout_s))
        try:
            while not committing.done() and self._failure is None:
                await self._wait({committing}, None)
        finally:
            committing.cancel()
        if self._leaving is leaving:
            self._lose()

    async def _take_over(self, incoming: frozenset[int]) -> bool:
        """Ask where to start, go there, and own the partitions; False if that has to be tried again."""
        if self._answered is None:
            answered = dict(await self._on_assigned(sorted(incoming))) if self._on_assigned is not None else {}
            if self._incoming is not incoming:
                return False
            self._answered = answered
        consumer = self._consumer
        try:
            starts = await self._unless_woken(self._find_starts(consumer, incoming, self._answered))
        except (KafkaError, TimeoutError) as error:
            self._link.blame(self._what, error)
            await self._wait(set(), 0.5)
            return False
        if starts is None or self._incoming is not incoming or self._consumer is not consumer:
            return False
        for partition, offset in starts.items():
            consumer.seek(self._tp(partition), offset)
            consumer.resume(self._tp(partition))
        self._positions = starts
        self._incoming = None
        self._answered = None
        self._resume = {}
        self._quiet = False
        self._link.well(self._what)
        return True

    async def _find_starts(self, consumer: Any, incoming: frozenset[int], answered: dict[int, int]) -> dict[int, int]:
        if not incoming:
            return {}
        deadline = self._link.settings.request_timeout_s
        tps = [self._tp(partition) for partition in sorted(incoming)]
        first = await within(deadline, consumer.beginning_offsets(tps))
        end = await within(deadline, consumer.end_offsets(tps))
        starts = {}
        self._ends = {tp.partition: end[tp] for tp in tps}
        for tp in tps:
            partition = tp.partition
            position = answered.get(partition, self._resume.get(partition))
            if position is None and self._group is not None:
                position = await within(deadline, consumer.committed(tp))
            if position is None:
                position = end[tp] if self._start == "latest" else first[tp]
                if self._group is not None:
                    self._marks.set(partition, position)
            starts[partition] = self._in_range(partition, position, first[tp], end[tp])
        return starts

    def _in_range(self, partition: int, position: int, first: int, end: int) -> int:
        """The position, or where reading resumes if the log has moved past it, or was made anew; a table cannot go on
        in another log, whose keys are not those that it has."""
        if position < first:
            self._overtaken.append(Overtaken(partition, first - position))
            return first
        if position <= end:
            return position
        if self._group is None and self.topic.cleanup == "compact":
            raise BusError(f"{self._name} was made anew: it has {end} records, {position} were read", hint=ANEW)
        return first

    # -- reading

    async def _fetch(self) -> bool:
        """Wait for records; True if a whole wait was in vain."""
        consumer = self._consumer
        if self._fetching is None:
            self._fetching = asyncio.ensure_future(
                consumer.getmany(timeout_ms=int(_POLL_S * 1000), max_records=BATCH_RECORDS)
            )
        fetching = self._fetching
        await self._wait({fetching}, None)
        if not fetching.done() or self._fetching is not fetching:
            return False
        self._fetching = None
        try:
            fetched = fetching.result()
        except OffsetOutOfRangeError as error:
            await self._resume_in_range(consumer, error.args[0])
        except _FORBIDDEN as error:
            raise self._link.blame(self._what, error).error(self._link.settings.url) from error
        except (KafkaError, asyncio.CancelledError) as error:
            self._link.blame(self._what, error)
            await self._rebuild()
        else:
            self._sort_in(fetched)
            return not self._fetched and await self._still_alive(consumer)
        return False

    def _sort_in(self, fetched: dict[Any, Sequence[Any]]) -> None:
        for tp, records in fetched.items():
            if tp.partition not in self._positions or not records:
                continue
            received = [
                Received(
                    tp.partition, record.offset, record.key or b"",
                    None if record.value is None else decode(self.topic, record.value), record.timestamp,
                )
                for record in records
            ]
            self._fetched.append(Batch(tp.partition, received, received[-1].offset + 1))
        if self._fetched:
            self._idle_s = 0.0
            self._link.well(self._what)

    async def _still_alive(self, consumer: Any) -> bool:
        """After an empty wait: True if there is just nothing to read.

        aiokafka's consumers are known to fall silent after an outage (#712, #1037): one that lags and fetches nothing
        is made anew.
        """
        answered = all(consumer.highwater(self._tp(partition)) is not None for partition in self._positions)
        self._quiet = answered and bool(self._positions)
        self._idle_s += _POLL_S
        if not self._positions:
            return await self._is_spare()
        if self._idle_s < self._link.settings.stall_s:
            return True
        self._idle_s = 0.0
        tps = [self._tp(partition) for partition in self._positions]
        try:
            end = await self._unless_woken(within(self._link.settings.request_timeout_s, consumer.end_offsets(tps)))
        except (KafkaError, TimeoutError) as error:
            self._link.blame(self._what, error)
            await self._rebuild()
            return False
        if end is not None and any(end[tp] > self._positions.get(tp.partition, end[tp]) for tp in tps):
            await self._rebuild()
            return False
        return True

    async def _is_spare(self) -> bool:
        """False if nobody has what this member was not given, and it joins anew.

        A broker gives to who comes under a name what it gave to that name before, without asking the group: nothing, if
        that was when the topic was not there. A member without a name has the group share anew.
        """
        group = self._group_name()
        if group is None or not self._member or self._spare or self._idle_s < _NOTHING_S:
            return True
        self._spare = await all_given(self._link, group, self._name, self._partitions)
        if self._spare or self._positions or self._incoming is not None:
            return True
        self._member = ""
        await self._rebuild()
        return False

    async def _resume_in_range(self, consumer: Any, positions: dict[Any, int]) -> None:
        """Retention has removed what was to be read next."""
        deadline = self._link.settings.request_timeout_s
        tps = list(positions)
        try:
            first = await self._unless_woken(within(deadline, consumer.beginning_offsets(tps)))
            end = await self._unless_woken(within(deadline, consumer.end_offsets(tps)))
        except (KafkaError, TimeoutError) as error:
            self._link.blame(self._what, error)
            return
        if first is None or end is None or self._consumer is not consumer:
            return
        for tp in tps:
            if tp.partition in self._positions:
                position = self._in_range(tp.partition, self._positions[tp.partition], first[tp], end[tp])
                self._positions[tp.partition] = position
                consumer.seek(tp, position)

    async def _rebuild(self) -> None:
        if self._group is None:
            self._resume = dict(self._positions)
        await self._marks.commit(1.0)
        self._lose()
        await self._drop_consumer(2.0)

    # -- waiting

    def _wake(self) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    async def _wait(self, tasks: set[asyncio.Task[Any]], timeout_s: float | None) -> None:
        """Until one of the tasks is done, the time is over, or something happened to this stream."""
        self._wakeup = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait({*tasks, self._wakeup}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._wakeup = None

    async def _unless_woken(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of a call to the broker; None if the stream has something more urgent to do."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                if self._closed or self._leaving is not None or self._failure is not None:
                    return None
                await self._wait({task}, None)
            return task.result()
        finally:
            task.cancel()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, stream: KafkaStream, consumer: Any) -> None:
        self._stream = stream
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        await self._stream.revoked(self._consumer)

    async def on_partitions_assigned(self, assigned: Collection[Any]) -> None:
        self._stream.assigned_by_group(assigned, self._consumer)
